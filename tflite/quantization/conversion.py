"""Converts a quantized model to one int8 TFLite model with every exit."""

import os
import pathlib
import warnings
from collections.abc import Collection

import tensorflow as tf

from tflite.format import int8_only
from tflite.quantization import int8_forms

INT8_FILE = "int8.tflite"  # Of a method that converts by itself.


def convert(
    saved: str | os.PathLike, keep_float: Collection[str] = ()
) -> bytes:
    """Converts what a method saved to int8, but for what may stay float.

    The input is int8 = pixel - 128 (scale 1/255, zero point -128); every exit
    gives int8 logits under its name in the signature.

    Args:
        saved: A directory that `Quantized.save` of a method of
            `tflite.quantization.methods` wrote: a SavedModel with fake
            quantization, or an int8 model that is there already.
        keep_float: Names of layers that may stay float.

    Raises:
        int8.NotInt8Error: If an operator works on floats, or is not one of
            TFLite's own.
    """
    model = converted(saved)
    int8_only.require(model, keep_float)
    return model


def converted(saved: str | os.PathLike) -> bytes:
    """Converts as `convert`, but leaves in float what has no form in int8."""
    ready = pathlib.Path(saved, INT8_FILE)
    if ready.exists():
        return ready.read_bytes()
    return int8_of(tf.lite.TFLiteConverter.from_saved_model(os.fspath(saved)))


def int8_of(converter: tf.lite.TFLiteConverter) -> bytes:
    """Runs a converter that is to give int8, from the input to the exits."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    with warnings.catch_warnings():
        # Ranges come from training, so there is nothing to calibrate.
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")
        return int8_forms.restored(converter.convert())
