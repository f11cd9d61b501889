"""Leaves `MaxPooling2D` of Keras to tfmot's own quantization."""

import keras
import tf_keras

from tflite.quantization.quantizable import Quantizable

LAYER = Quantizable(
    keras=keras.layers.MaxPooling2D,
    legacy=tf_keras.layers.MaxPooling2D,
    arguments=("pool_size", "strides", "padding"),
)
