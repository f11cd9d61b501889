"""Puts fake quantization into Keras 3 models, with Keras alone."""
