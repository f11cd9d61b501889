"""Finds and sets the activation ranges of a model that tfmot quantized."""

import dataclasses

import tensorflow as tf
import tf_keras

from tflite.quantization import symmetric_range

WRAPPER = "quant_"  # Tfmot puts it before a layer's name.

# Width of a range at least. What a gate closes for all images is 0 and has
# none, and XNNPACK takes no sums of scales that are far apart.
_LEAST = 2.0**-4


@dataclasses.dataclass(frozen=True)
class Range:
    """Holds the variables of a range.

    Attributes:
        low: The lower end.
        high: The upper end.
        symmetric: Whether one is minus the other.
    """

    low: tf.Variable
    high: tf.Variable
    symmetric: bool

    def set(self, low: float, high: float) -> None:
        """Sets the range to the nearest valid one that holds both numbers."""
        # Zero must be a value of the range: it pads.
        low, high = min(low, 0.0), max(high, 0.0)
        if self.symmetric:
            high = max(-low, high)
            low = -high
        else:
            high = max(high, low + _LEAST)
        self.low.assign(low)
        self.high.assign(high)


def of(quantized: tf_keras.Model) -> dict[str, Range]:
    """Returns the range of each activation that has variables for it.

    Args:
        quantized: A model from tfmot.

    Returns:
        Ranges by the name of the float layer.
    """
    found = {}
    for layer in quantized.layers:
        ends = {}
        for variable in layer.non_trainable_variables:
            kind = variable.name.rsplit("/", 1)[-1].split(":")[0]
            for end in ("min", "max"):
                # Those of kernels are the weights' own.
                if kind.endswith(f"_{end}") and "kernel" not in kind:
                    ends[end] = variable
        if ends:
            found[layer.name.removeprefix(WRAPPER)] = Range(
                ends["min"],
                ends["max"],
                symmetric=isinstance(
                    getattr(layer, "quantize_config", None),
                    symmetric_range.SymmetricRangeQuantizeConfig,
                ),
            )
    return found
