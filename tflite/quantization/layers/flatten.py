"""Leaves `Flatten` of Keras to tfmot's own quantization."""

import keras
import tf_keras

from tflite.quantization.quantizable import Quantizable

LAYER = Quantizable(
    keras=keras.layers.Flatten,
    legacy=tf_keras.layers.Flatten,
)
