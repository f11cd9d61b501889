"""Takes a Keras 3 model to one int8 .tflite file; needs TensorFlow."""
