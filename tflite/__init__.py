"""From a trained model to a phone: quantize, convert, split, bundle, run."""
