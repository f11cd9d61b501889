"""Turns pixels into the numbers that a model's image tensor holds."""

import functools
from collections.abc import Callable

import numpy as np

from tflite.bundle import InputFacts

# Flipping the top bit of a byte subtracts 128, read as int8.
_TOP_BIT = np.uint8(0x80)
_BYTE = np.dtype(np.uint8)


def quantized(
    pixels: np.ndarray, facts: InputFacts, out: np.ndarray | None = None
) -> np.ndarray:
    """Returns the numbers that stand for pixels in the image's tensor.

    Args:
        pixels: uint8 of any shape: an image, or a batch.
        facts: Of the input; only its type and scale count here.
        out: Where the numbers are written to, of the shape of `pixels` and of
            the input's type; a new array without.

    Returns:
        int8 or float32, of the shape of `pixels`; see `InputFacts`.
    """
    if out is None:
        out = np.empty(pixels.shape, facts.dtype)
    writer(facts, out)(pixels)
    return out


def writer(
    facts: InputFacts, out: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function that writes pixels of the shape of `out` into it.

    Args:
        facts: Of the input; only its type and scale count here.
        out: Where the numbers are written to, of the input's type.
    """
    if facts.dtype == "float32":
        return functools.partial(np.multiply, np.float32(facts.scale), out=out)
    return functools.partial(np.bitwise_xor, _TOP_BIT, out=out.view(_BYTE))
