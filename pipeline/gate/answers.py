"""Writes which images were answered right as a line of text, and reads it."""

import base64
import binascii

import numpy as np


def encode(right: np.ndarray) -> str:
    """Packs bool [N] into bits, the first one highest, in base64."""
    return base64.b64encode(np.packbits(right).tobytes()).decode()


def decode(text: str, count: int) -> np.ndarray:
    """Unpacks `count` answers, bool [count].

    Raises:
        ValueError: If `text` is not what `encode` gives for so many.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"`text` must be base64. Received: {error}") from None
    if len(data) != -(-count // 8):
        raise ValueError(
            f"`text` must hold {count} bits. Received: {8 * len(data)}"
        )
    return np.unpackbits(np.frombuffer(data, np.uint8), count=count) > 0
