"""Leaves `ReLU` of Keras to tfmot's own quantization."""

import keras
import tf_keras

from tflite.quantization.quantizable import Quantizable

LAYER = Quantizable(
    keras=keras.layers.ReLU,
    legacy=tf_keras.layers.ReLU,
    arguments=("max_value", "negative_slope", "threshold"),
)
