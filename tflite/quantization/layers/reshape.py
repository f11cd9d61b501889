"""Leaves `Reshape` of Keras to tfmot's own quantization."""

import keras
import tf_keras

from tflite.quantization.quantizable import Quantizable

LAYER = Quantizable(
    keras=keras.layers.Reshape,
    legacy=tf_keras.layers.Reshape,
    arguments=("target_shape",),
)
