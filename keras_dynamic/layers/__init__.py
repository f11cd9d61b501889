"""Defines the few layers that Keras lacks, one per file."""

from keras_dynamic.layers.basis_coefficients import BasisCoefficients
from keras_dynamic.layers.basis_conv2d import BasisConv2D
from keras_dynamic.layers.basis_depthwise_conv2d import BasisDepthwiseConv2D
from keras_dynamic.layers.bias import Bias
from keras_dynamic.layers.bilinear_resize import BilinearResize
from keras_dynamic.layers.choice import Preference
from keras_dynamic.layers.gate import Gate
from keras_dynamic.layers.gate_score import Score
from keras_dynamic.layers.gradient_scale import GradientScale
from keras_dynamic.layers.ramp import Ramp
from keras_dynamic.layers.scale import Multiple

__all__ = [
    "BasisCoefficients",
    "BasisConv2D",
    "BasisDepthwiseConv2D",
    "Bias",
    "BilinearResize",
    "Gate",
    "GradientScale",
    "Multiple",
    "Preference",
    "Ramp",
    "Score",
]
