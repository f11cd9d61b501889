"""Reads and dequantizes an exit's logits where the interpreter has them."""

from collections.abc import Mapping

import numpy as np


class Logits:
    """Reads the logits of an exit, for one image at a time.

    Args:
        memory: Where they are, [1, C].
        details: Type and quantization, as the interpreter gives them.

    Attributes:
        scale: What a step of a quantized logit stands for; 0.0 for floats.
        signed: The memory of int8 logits, [C]; None of others.
    """

    def __init__(self, memory: np.ndarray, details: Mapping):
        self._memory = memory[0]
        self.scale, self._zero_point = details["quantization"]
        self.signed = self._bytes = None
        if self.scale and memory.dtype == np.int8:
            self.signed = self._memory.data
            # To look up one of 256 numbers takes a third of computing it.
            self._bytes = self._memory.view(np.uint8)
            every = np.arange(256, dtype=np.uint8).view(np.int8)
            self._table = self.dequantize(every)

    @property
    def classes(self) -> int:
        """Counts the logits, C."""
        return len(self._memory)

    def copy(self) -> np.ndarray:
        """Returns the logits unchanged, [C]; int8 if the model is quantized."""
        return self._memory.copy()

    def numbers(self) -> np.ndarray:
        """Returns the numbers that the logits stand for, float64 [C]."""
        if self._bytes is None:
            return self.dequantize(self._memory)
        return self._table.take(self._bytes)

    def dequantize(self, logits: np.ndarray) -> np.ndarray:
        """Returns the numbers that logits of this exit stand for.

        Args:
            logits: As the segment gives them, [..., C].

        Returns:
            float64 [..., C].
        """
        if not self.scale:  # A float model.
            return logits.astype(np.float64)
        return self.scale * (logits.astype(np.float64) - self._zero_point)
