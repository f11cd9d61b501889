"""Handles bundles as Beam models: RunInference with early exits.

    from apache_beam.ml.inference.base import KeyedModelHandler, RunInference
    from pipeline import scoring

    handler = scoring.BundleModelHandler("gs://models/cats")
    scored = (
        images                         # (key, uint8 [H, W, C]) each
        | RunInference(KeyedModelHandler(handler))
    )                                  # (key, PredictionResult) each

Without KeyedModelHandler the elements are the arrays alone. The `inference` of
a result is a `Scored`, or a `Rejected` for an element that is no such array:
one bad element does not cost a batch.
"""

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from keras_dynamic.exits.decision.policy import Policy
from pipeline.storage import beam_files
from tflite.bundle import (
    ARCHIVE,
    MANIFEST,
    Bundle,
    InvalidBundle,
    completeness,
    manifest,
    manifest_rules,
    read,
)
from tflite.runtime.batch_harness import BatchHarness

NAMESPACE = "keras_dynamic"

_PIECE = 2**20
# Manifest, labels and segments, and what a zip adds.
_MAX_ARCHIVE_BYTES = (
    manifest_rules.MAX_FILE_BYTES + 3 * manifest_rules.MAX_TEXT_BYTES
)


class Scored(NamedTuple):
    """Holds a bundle's answer about one image.

    Attributes:
        predicted: The most probable class.
        probabilities: Probability of every class, float64 [C], at the exit's
            temperature.
        exit: Exit at which the image stopped, from 0.
        madds: Multiply-adds up to that exit.
        predicted_name: Name of the most probable class.
    """

    predicted: int
    probabilities: np.ndarray
    exit: int
    madds: int
    predicted_name: str = ""


class Rejected(NamedTuple):
    """Tells why an image, or several, are not scored.

    Attributes:
        reason: Reason, in words.
        items: Number of images that this stands for.
    """

    reason: str
    items: int = 1


class BundleModelHandler(
    ModelHandler[np.ndarray | Rejected, PredictionResult, "_Model"]
):
    """Scores images with a bundle; each stops at the first exit that is sure.

    Elements are uint8 [H, W, C], as in the bundle's input facts. A step before
    that could not read an image may send a `Rejected` in its place, which
    comes back as the inference.

    Counts in Beam's metrics, namespace "keras_dynamic": `exit_0`, `exit_1`,
    ... and `rejected`, beside those of RunInference itself. A worker process
    loads the bundle once; its threads take turns, as an interpreter is not
    thread-safe.
    """

    def __init__(
        self,
        bundle: str | os.PathLike,
        *,
        policy: Policy | None = None,
        batch_size: int = 64,
        threads: int = 1,
        **batching: Any,
    ):
        """Describes the bundle that workers load.

        Args:
            bundle: Directory of a bundle, or its bundle.zip; here or in an
                object store.
            policy: Policy that says when to stop; the bundle's own if there is
                none.
            batch_size: Images that a segment takes at once.
            threads: Threads that an operator may use.
            **batching: Further arguments of `ModelHandler`. By default
                `min_batch_size` and `max_batch_size` are four times
                `batch_size`: so many images are scored together if there are
                as many, and behind an exit there still are enough for a full
                batch.
        """
        most = batching.get("max_batch_size", 4 * batch_size)
        least = batching.setdefault("min_batch_size", most)
        batching.setdefault("max_batch_size", max(least, most))
        super().__init__(**batching)
        self._bundle = os.fspath(bundle)
        self._policy = policy
        self._batch_size = batch_size
        self._threads = threads

    def load_model(self) -> "_Model":
        """Loads and checks the whole bundle.

        Raises:
            bundle.InvalidBundle: It is not what its manifest says.
        """
        with local(self._bundle) as directory:
            return _Model(
                BatchHarness(directory, self._batch_size, threads=self._threads)
            )

    def run_inference(
        self,
        batch: Sequence[np.ndarray | Rejected],
        model: "_Model",
        inference_args: Mapping[str, Any] | None = None,
    ) -> Iterator[PredictionResult]:
        """Yields the results of some images, in their order."""
        del inference_args
        shape = model.harness.bundle.input.shape
        inferences = [refusal(element, shape) for element in batch]
        places = [i for i, refusal in enumerate(inferences) if not refusal]
        rejected = sum(refusal.items for refusal in inferences if refusal)
        if places:
            images = np.stack([batch[i] for i in places])
            with model.lock:
                results = model.harness.run(images, self._policy)
            scored = map(
                Scored,
                results.classes.tolist(),
                results.probabilities,
                results.exits.tolist(),
                results.madds.tolist(),
                map(model.harness.bundle.labels.__getitem__, results.classes),
            )
            for i, each in zip(places, scored, strict=True):
                inferences[i] = each
            for exit, images in enumerate(np.bincount(results.exits).tolist()):
                Metrics.counter(NAMESPACE, f"exit_{exit}").inc(images)
        Metrics.counter(NAMESPACE, "rejected").inc(rejected)
        for element, inference in zip(batch, inferences, strict=True):
            yield PredictionResult(element, inference, self._bundle)

    def get_num_bytes(self, batch: Sequence[np.ndarray | Rejected]) -> int:
        """Returns the bytes of the pixels."""
        return sum(getattr(element, "nbytes", 0) for element in batch)

    def get_metrics_namespace(self) -> str:
        """Returns the namespace of all metrics."""
        return NAMESPACE


def refusal(element: object, shape: tuple[int, ...]) -> Rejected | None:
    """Returns why an element cannot be scored, or None."""
    if isinstance(element, Rejected):
        return element
    if not isinstance(element, np.ndarray) or element.dtype != np.uint8:
        received = getattr(element, "dtype", type(element).__name__)
        return Rejected(f"pixels must be uint8. Received: {received}")
    if element.shape != shape:
        return Rejected(
            f"pixels must have the shape {shape}. Received: {element.shape}"
        )
    return None


def described(bundle: str | os.PathLike) -> Bundle:
    """Returns the facts of a bundle, wherever it is.

    Its directory may be gone afterwards: the models cannot be read from it.

    Raises:
        bundle.InvalidBundle: It is none.
    """
    with local(bundle) as directory:
        return read(directory)


@contextlib.contextmanager
def local(bundle: str | os.PathLike) -> Iterator[str]:
    """Yields a path on this machine that the harness can open.

    A bundle in an object store is copied: of a directory the files that the
    manifest names and a device needs, each up to the size that is named there.

    Args:
        bundle: A directory with a bundle's files or its bundle.zip, or the
            latter itself; here or in an object store.

    Raises:
        bundle.InvalidBundle: It is none, or a file has another size.
    """
    bundle = os.fspath(bundle)
    archive = _archive(bundle)
    if beam_files.is_local(bundle):
        yield archive or bundle
        return
    with tempfile.TemporaryDirectory() as directory:
        if archive:
            path = os.path.join(directory, ARCHIVE)
            _copy(archive, path, _MAX_ARCHIVE_BYTES)
            yield path
        else:
            _copy_files(bundle, directory)
            yield directory


class _Model:
    """Holds a loaded bundle, and the lock by which threads take turns."""

    def __init__(self, harness: BatchHarness):
        self.harness = harness
        self.lock = threading.Lock()


def _archive(bundle: str) -> str | None:
    """Returns the bundle.zip to fetch, if there is one and it is needed."""
    if bundle.endswith(".zip"):
        return bundle
    manifest = beam_files.join(bundle, MANIFEST)
    if beam_files.is_local(bundle) and beam_files.exists(manifest):
        return None
    archive = beam_files.join(bundle, ARCHIVE)
    if not beam_files.exists(archive):
        return None
    if beam_files.is_local(bundle):
        completeness.check_archive(bundle)
    return archive


def _copy_files(bundle: str, directory: str) -> None:
    """Copies a bundle's manifest, and then the files that it names."""
    most = manifest_rules.MAX_TEXT_BYTES

    def copy(name: str, most: int) -> None:
        source = beam_files.join(bundle, name)
        _copy(source, os.path.join(directory, name), most)

    copy(MANIFEST, most)
    with open(os.path.join(directory, MANIFEST), "rb") as file:
        found = manifest.decode(file.read())
    for each in (found.labels, *found.segments):
        if isinstance(each, str):
            copy(each, most)
        else:
            copy(each.file, each.bytes)


def _copy(source: str, target: str, most: int) -> None:
    """Copies a file of at most `most` bytes, piece by piece."""
    # What a missing object's error is depends on the store.
    if not beam_files.exists(source):
        raise InvalidBundle(
            "`bundle` must be a bundle.zip, or have the files that the "
            f"manifest names. Received: no {source}"
        )
    with beam_files.open(source) as opened, open(target, "wb") as file:
        while piece := opened.read(_PIECE):
            most -= file.write(piece)
            if most < 0:
                break
    if most < 0:
        raise InvalidBundle(
            f"{source} must have no more bytes than the manifest says, or "
            f"than a bundle may have. Received: {-most} more"
        )
