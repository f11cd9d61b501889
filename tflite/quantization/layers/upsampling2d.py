"""Leaves `UpSampling2D` of Keras to tfmot's own quantization."""

import keras
import tf_keras

from tflite.quantization.quantizable import Quantizable

LAYER = Quantizable(
    keras=keras.layers.UpSampling2D,
    legacy=tf_keras.layers.UpSampling2D,
    arguments=("size", "interpolation"),
)
