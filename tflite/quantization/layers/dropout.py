"""Leaves `Dropout` of Keras to tfmot's own quantization."""

import keras
import tf_keras

from tflite.quantization.quantizable import Quantizable

LAYER = Quantizable(
    keras=keras.layers.Dropout,
    legacy=tf_keras.layers.Dropout,
    arguments=("rate",),
    note="training only",
)
