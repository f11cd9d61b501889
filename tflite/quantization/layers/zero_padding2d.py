"""Leaves `ZeroPadding2D` of Keras to tfmot's own quantization."""

import keras
import tf_keras

from tflite.quantization.quantizable import Quantizable

LAYER = Quantizable(
    keras=keras.layers.ZeroPadding2D,
    legacy=tf_keras.layers.ZeroPadding2D,
    arguments=("padding",),
)
