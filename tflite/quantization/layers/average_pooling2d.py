"""Leaves `AveragePooling2D` of Keras to tfmot's own quantization."""

import keras
import tf_keras

from tflite.quantization.quantizable import Quantizable

LAYER = Quantizable(
    keras=keras.layers.AveragePooling2D,
    legacy=tf_keras.layers.AveragePooling2D,
    arguments=("pool_size", "strides", "padding"),
    note="runs in int8, but outside of XNNPACK",
)
