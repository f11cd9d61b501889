"""Leaves `Concatenate` of Keras to tfmot's own quantization."""

import keras
import tf_keras

from tflite.quantization.quantizable import Quantizable

LAYER = Quantizable(
    keras=keras.layers.Concatenate,
    legacy=tf_keras.layers.Concatenate,
    arguments=("axis",),
)
