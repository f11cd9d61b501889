"""Makes `keras_dynamic.layers.Preference` a dense layer of fixed numbers."""

from typing import Any

import keras
import numpy as np
import tf_keras

from keras_dynamic import layers
from tflite.quantization.quantizable import Find, Part, Quantizable


def _dense(
    layer: layers.Preference, inputs: keras.KerasTensor, find: Find
) -> Any:
    """Returns the scores, [batch, 1].

    Args:
        layer: The layer of Keras 3.
        inputs: Logits of the router, [batch, logits].
        find: Gives the layer to call for a part.
    """
    made = tf_keras.layers.Dense(1, name=layer.name)
    weights = [
        np.asarray(each, np.float32) for each in layer.plain(inputs.shape[-1])
    ]
    return find(Part(made, weights, trainable=False))(inputs)


LAYER = Quantizable(
    keras=layers.Preference, parts=_dense, note="becomes a `Dense`"
)
