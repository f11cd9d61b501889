"""Quantizes the output of `Multiply` of Keras."""

import keras
import tf_keras

from tflite.quantization import quantize_configs
from tflite.quantization.quantizable import Quantizable

LAYER = Quantizable(
    keras=keras.layers.Multiply,
    legacy=tf_keras.layers.Multiply,
    configs={tf_keras.layers.Multiply: quantize_configs.output},
    note=('the hard swish is `Multiply()([x, Activation("hard_sigmoid")(x)])`'),
)
