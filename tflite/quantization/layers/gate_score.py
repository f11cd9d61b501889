"""Makes `keras_dynamic.layers.Score` a convolution, as outside of training."""

from typing import Any

import keras
import numpy as np
import tf_keras

from keras_dynamic import layers
from tflite.quantization.quantizable import Find, Part, Quantizable


def _convolution(
    layer: layers.Score, inputs: keras.KerasTensor, find: Find
) -> Any:
    """Returns the scores, [batch, height, width, filters].

    Args:
        layer: The layer of Keras 3.
        inputs: [batch, height, width, channels].
        find: Gives the layer to call for a part.
    """
    made = tf_keras.layers.Conv2D(layer.filters, 1, name=layer.name)
    weights = [np.asarray(each, np.float32) for each in layer.plain()]
    return find(Part(made, weights, layer.trainable))(inputs)


LAYER = Quantizable(
    keras=layers.Score, parts=_convolution, note="becomes a `Conv2D`"
)
