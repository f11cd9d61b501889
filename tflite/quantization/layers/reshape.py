"""`Reshape` of Keras, which tfmot quantizes by itself."""

import keras
import tf_keras

from tflite.quantization.quantizable import Quantizable

LAYER = Quantizable(
    keras=keras.layers.Reshape,
    legacy=tf_keras.layers.Reshape,
    arguments=("target_shape",),
)
