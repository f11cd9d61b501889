"""Leaves `BatchNormalization` of Keras to tfmot's own quantization."""

import keras
import tf_keras

from tflite.quantization.quantizable import Quantizable

LAYER = Quantizable(
    keras=keras.layers.BatchNormalization,
    legacy=tf_keras.layers.BatchNormalization,
    arguments=("axis", "momentum", "epsilon", "center", "scale"),
)
