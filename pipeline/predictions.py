"""What the int8 model said of each image: the logits of every exit.

Kept so that policies can be fitted and reports drawn without running the
model again.
"""

import dataclasses
import pathlib

import numpy as np

from pipeline import workdir


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """The logits of one split, in the order of `dataset.load`.

    Attributes:
        labels: int32 [N].
        logits: float64 [K, N, C], dequantized as the harness does, so that a
            policy decides here as it does on the device; shallow to deep.
    """

    labels: np.ndarray
    logits: np.ndarray

    def accuracies(self) -> list[float]:
        """Share of right answers at each exit."""
        right = self.logits.argmax(-1) == self.labels
        return [float(share) for share in right.mean(axis=1)]


def save(path: pathlib.Path, **splits: Predictions) -> None:
    """Writes the predictions of some splits to one .npz file, atomically."""
    arrays = {}
    for split, predictions in splits.items():
        arrays[f"{split}/labels"] = predictions.labels
        arrays[f"{split}/logits"] = predictions.logits
    with workdir.published(path) as stage, open(stage, "wb") as file:
        np.savez(file, **arrays)


def load(path: pathlib.Path, split: str) -> Predictions:
    """Reads the predictions of one split ("calibration" or "test").

    Raises:
        FileNotFoundError: If the convert stage has not written them.
        ValueError: If they hold no such split.
    """
    with np.load(path) as arrays:
        splits = sorted({name.partition("/")[0] for name in arrays})
        if split not in splits:
            raise ValueError(
                f"`split` must be one of {', '.join(splits)}. "
                f"Received: split={split!r}"
            )
        return Predictions(arrays[f"{split}/labels"], arrays[f"{split}/logits"])
