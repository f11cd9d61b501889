"""Describes how far a layer of an int8 model is from the float model."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class LayerError:
    """Tells how far a tensor of the int8 model is from the float model's.

    An error is the root of the mean square of the differences, as a share of
    the root of the mean square of the float values.

    Attributes:
        layer: Of the float model.
        tensor: Of the int8 model. A layer can have several, of other scales.
        own: The error that the layer adds to what it is given.
        total: The error from the image on.
        cosine: Of the angle between both models' values, from the image on.
    """

    layer: str
    tensor: str
    own: float
    total: float
    cosine: float

    @property
    def sqnr_db(self) -> float:
        """Returns the signal to quantization noise of `total`, in decibels."""
        return -20 * math.log10(self.total) if self.total else math.inf
