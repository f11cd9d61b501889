"""The few layers that Keras lacks, one per file."""

from keras_dynamic.layers.bilinear_resize import BilinearResize

__all__ = ["BilinearResize"]
