"""Tells where some images lie in their batch."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Part:
    """Tells where some images lie in their batch.

    Attributes:
        rows: Rows of the batch that they are.
        whole: Number of images of the batch.
        turned: Whether each, bool, is mirrored in this epoch, where each is
            mirrored in every second one; None where nobody counts epochs.
    """

    rows: slice
    whole: int
    turned: np.ndarray | None = None
