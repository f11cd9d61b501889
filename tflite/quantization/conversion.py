"""Converts a SavedModel to one int8 TFLite model with every exit."""

import os
import warnings

import tensorflow as tf

from tflite.format import int8_only
from tflite.quantization import int8_forms


def convert(saved_model: str | os.PathLike) -> bytes:
    """Converts a SavedModel with fake quantization to int8 throughout.

    The input is int8 = pixel - 128 (scale 1/255, zero point -128); every exit
    gives int8 logits under its name in the signature.

    Args:
        saved_model: From `tflite.quantization.fake_quantization.save`.

    Raises:
        int8.NotInt8Error: If an operator works on floats, or is not one of
            TFLite's own.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(os.fspath(saved_model))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    with warnings.catch_warnings():
        # Ranges come from training, so there is nothing to calibrate.
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")
        model = int8_forms.restored(converter.convert())
    int8_only.require(model)
    return model
