"""Leaves `DepthwiseConv2D` of Keras to tfmot's own quantization."""

import keras
import tf_keras

from tflite.quantization.quantizable import Quantizable

LAYER = Quantizable(
    keras=keras.layers.DepthwiseConv2D,
    legacy=tf_keras.layers.DepthwiseConv2D,
    arguments=(
        "kernel_size",
        "strides",
        "padding",
        "depth_multiplier",
        "dilation_rate",
        "activation",
        "use_bias",
    ),
)
