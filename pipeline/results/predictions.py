"""Keeps the answers of a model for each image: the logits of every exit.

They are kept so that policies can be fitted and reports drawn without running
the model again.
"""

import dataclasses
import pathlib
import zipfile
import zlib

import numpy as np

from pipeline.storage import publishing

# What numpy raises for a file that is cut off, overwritten or another's.
_DAMAGED = (OSError, EOFError, KeyError, ValueError)
_DAMAGED += (zipfile.BadZipFile, zlib.error)


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """Holds the logits of one split, in the order of `dataset.load`.

    Attributes:
        labels: int32 [N], the class of each image.
        logits: [K, N, C], shallow to deep. Those of the int8 model are float64,
            dequantized as the harness does, so that a policy decides here as
            it does on the device; those of a float model are float32.
    """

    labels: np.ndarray
    logits: np.ndarray

    def accuracies(self) -> list[float]:
        """Returns the share of right answers at each exit."""
        right = self.logits.argmax(-1) == self.labels
        return [float(share) for share in right.mean(axis=1)]

    def cross_entropies(self) -> list[float]:
        """Returns the cross-entropy at each exit, in nats.

        It is the mean negative log-likelihood of the labels.
        """
        logits = self.logits.astype(np.float64)
        logits -= logits.max(axis=-1, keepdims=True)
        chosen = logits[:, np.arange(len(self.labels)), self.labels]
        totals = np.log(np.exp(logits).sum(axis=-1))
        return [float(nats) for nats in (totals - chosen).mean(axis=1)]


def save(path: pathlib.Path, **splits: Predictions) -> None:
    """Writes the predictions of some splits to one .npz file, atomically."""
    arrays = {}
    for split, predictions in splits.items():
        arrays[f"{split}/labels"] = predictions.labels
        arrays[f"{split}/logits"] = predictions.logits
    with publishing.published(path) as stage, open(stage, "wb") as file:
        np.savez(file, **arrays)


def load(path: pathlib.Path, split: str) -> Predictions:
    """Reads the predictions of one split ("calibration" or "test").

    Raises:
        FileNotFoundError: If `evaluate` (of the float model) or `convert` (of
            the int8 model) has not written them.
        ValueError: If the file holds no such split, or is damaged.
    """
    try:
        splits, labels, logits = _arrays(path, split)
    except FileNotFoundError:
        raise
    except _DAMAGED as error:
        raise ValueError(
            f"{path} must hold predictions; the stage that wrote it writes it "
            f"again. Received: a damaged file ({error})"
        ) from error
    if labels is None:
        raise ValueError(
            f"`split` must be one of {', '.join(splits)}. "
            f"Received: split={split!r}"
        )
    return Predictions(labels, logits)


def _arrays(path: pathlib.Path, split: str):
    """Returns the splits of a file, and the arrays of one; None if absent."""
    arrays = np.load(path)
    if not isinstance(arrays, np.lib.npyio.NpzFile):
        raise ValueError("it is one array")
    with arrays:
        splits = sorted({name.partition("/")[0] for name in arrays})
        if split not in splits:
            return splits, None, None
        labels, logits = arrays[f"{split}/labels"], arrays[f"{split}/logits"]
    if labels.dtype.kind not in "iu" or logits.dtype.kind != "f":
        raise ValueError(f"labels of {labels.dtype}, logits of {logits.dtype}")
    return splits, labels, logits
