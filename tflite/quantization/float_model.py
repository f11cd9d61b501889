"""Converts the float network to .tflite and to ONNX, to measure against.

Both models come from the graph that quantization starts from, that of
`tflite.quantization.bridge` or the normal form, whose outputs are those of the
Keras 3 model to about 1e-6.
"""

import logging
import tempfile
from typing import Any

import keras
import tensorflow as tf

from keras_dynamic import normal_form
from tflite.quantization import (
    bridge,
    saved_graph,
)

# The newest that all releases of ONNX Runtime since 1.15 take.
_OPSET = 18


def to_tflite(model: keras.Model) -> bytes:
    """Converts a Keras 3 model to a float32 .tflite model.

    Its input `image` is float32 [1, H, W, C] in [0, 1]; each exit gives its
    logits under the name `exit_k`.

    Args:
        model: Functional model, of layers that docs/quantization.md lists.

    Raises:
        bridge.UnsupportedLayerError: As `bridge.to_tf_keras`.
    """
    with tempfile.TemporaryDirectory() as directory:
        saved_graph.save(_graph(model), directory)
        return tf.lite.TFLiteConverter.from_saved_model(directory).convert()


def to_onnx(model: keras.Model) -> bytes:
    """Converts a Keras 3 model to ONNX, of the signature of `to_tflite`.

    Args:
        model: Functional model, of layers that docs/quantization.md lists.

    Raises:
        ImportError: If the extra `onnx` is not installed.
        bridge.UnsupportedLayerError: As `bridge.to_tf_keras`.
    """
    import tf2onnx

    # It warns of each weight that it folds.
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    serve = saved_graph.serving(_graph(model))
    proto, _ = tf2onnx.convert.from_function(
        serve, input_signature=serve.input_signature, opset=_OPSET
    )
    return proto.SerializeToString()


def _graph(model: keras.Model) -> Any:
    """Returns the graph to convert, of the legacy Keras where that has it."""
    if bridge.takes(model):
        return bridge.to_tf_keras(model)
    return normal_form.of(model)
