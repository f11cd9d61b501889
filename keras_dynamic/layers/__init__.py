"""The few layers that Keras lacks, one per file."""

from keras_dynamic.layers.bias import Bias
from keras_dynamic.layers.bilinear_resize import BilinearResize
from keras_dynamic.layers.gradient_scale import GradientScale
from keras_dynamic.layers.multiple import Multiple

__all__ = ["Bias", "BilinearResize", "GradientScale", "Multiple"]
