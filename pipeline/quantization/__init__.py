"""Makes the stages `quantize` and `convert`."""
