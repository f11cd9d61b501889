"""Leaves `BilinearResize` of `keras_dynamic.layers` without a quantizer.

The layer keeps its input's scale, as TFLite's does.
"""

import tf_keras

from keras_dynamic import layers
from tflite.quantization import quantize_configs
from tflite.quantization.quantizable import Quantizable

LAYER = Quantizable(
    keras=layers.BilinearResize,
    # It resizes with half pixels, bilinearly, unless told otherwise.
    legacy=tf_keras.layers.Resizing,
    arguments=("height", "width"),
    configs={tf_keras.layers.Resizing: quantize_configs.nothing},
    note="keeps its input's scale",
)
