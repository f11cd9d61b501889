"""Finds who takes part in a benchmark: the chain, and the models beside it."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator

import ml_collections
import numpy as np
from absl import logging

from pipeline.results import predictions, static_exit
from pipeline.results.layout import Layout
from tflite.cutting import truncate
from tflite.format import files
from tflite.timing.contestants import Contestant

# How far a float model may be from the Keras model, of its largest logit.
_TOLERANCE = 1e-3
_COMPARED = 16


@dataclasses.dataclass(frozen=True)
class Entrant:
    """Describes a model or bundle to time, whatever the number of threads.

    Attributes:
        name: Name in tables.
        runtime: One of `tflite.timing.contestants.RUNTIMES`.
        path: The bundle of "chain" and "routed"; else the model file.
        about: Description in words.
        accuracy: Accuracy on the test split, in [0, 1].
    """

    name: str
    runtime: str
    path: str
    about: str
    accuracy: float

    def contestant(self, threads: int) -> Contestant:
        """Returns the contestant that loads and runs it on some threads."""
        return Contestant(self.runtime, self.path, threads)


@dataclasses.dataclass(frozen=True)
class Absent:
    """Names a model that belongs into the comparison and cannot be timed.

    Attributes:
        name: Name in tables.
        reason: Why it cannot be timed.
    """

    name: str
    reason: str


class _CannotEnter(Exception):
    """Says that a model cannot be timed; the message is the reason."""


def enter(
    config: ml_collections.ConfigDict,
    layout: Layout,
    directory: pathlib.Path,
    metrics: dict,
    images: np.ndarray,
) -> tuple[list[Entrant], list[Absent]]:
    """Finds all who take part, and makes the models that are not there yet.

    Args:
        config: The whole configuration.
        layout: Paths of the results of the other stages.
        directory: Directory to which models are written.
        metrics: The content of metrics.json.
        images: The test split as the model takes it, uint8 [N, H, W, C].

    Raises:
        ValueError: If one of `config.benchmark.others` cannot be timed.
    """
    int8 = [row["accuracy"]["int8"] for row in metrics["exits"]]
    shipped = next(row for row in metrics["routed"] if row["bundle"])
    bundle, model = str(layout.bundle), str(layout.tflite_model)
    found = [
        Entrant(
            "chain", "chain", bundle, "segments, to the last exit", int8[-1]
        ),
        Entrant(
            "routed",
            "routed",
            bundle,
            "segments, under the bundle's policy",
            shipped["accuracy"],
        ),
        Entrant(
            "unsplit", "tflite", model, "int8, every exit, uncut", int8[-1]
        ),
    ]
    absent = []

    def add(name: str, make: Callable[[], Entrant]) -> None:
        try:
            found.append(make())
        except _CannotEnter as error:
            absent.append(Absent(name, str(error)))
            logging.warning("%s is not measured: %s", name, error)

    floats = _Floats(config, layout, directory, metrics, images)
    add("static", lambda: _static(layout, directory, shipped, int8))
    add("float", floats.tflite)
    add("onnx", floats.onnx)
    found += _others(config.benchmark.others, layout, found, images)
    return found, absent


def _static(layout, directory, shipped, int8) -> Entrant:
    """Cuts the int8 model back to an exit that does what the policy does."""
    if len(int8) == 1:
        raise _CannotEnter("the network has one exit: it is static itself")
    chosen = static_exit.choose(int8, shipped["accuracy"])
    path = directory / f"exit_{chosen.exit}_alone.tflite"
    model = files.model(layout.tflite_model)
    path.write_bytes(truncate.truncate(model, f"exit_{chosen.exit}"))
    about = f"int8, exit {chosen.exit} and nothing else"
    if not chosen.enough:
        about += ", the most accurate one, less so than the policy"
    return Entrant("static", "tflite", str(path), about, chosen.accuracy)


class _Floats:
    """Converts the float network to two runtimes, from one Keras model."""

    def __init__(self, config, layout, directory, metrics, images):
        self._config = config
        self._layout = layout
        self._directory = directory
        self._accuracy = metrics["exits"][-1]["accuracy"]["float"]
        self._images = images[:_COMPARED]
        self._model = None

    def tflite(self) -> Entrant:
        return self._entrant("float", "tflite", "float32, every exit", "train")

    def onnx(self) -> Entrant:
        about = "the float network, ONNX Runtime"
        return self._entrant("onnx", "onnx", about, "onnx")

    def _entrant(self, name, runtime, about, extra) -> Entrant:
        path = self._directory / f"float.{runtime}"
        try:
            Contestant(runtime, str(path)).find_runtime()
            # Not before: they take seconds to import.
            from pipeline.training import trained_model
            from tflite.quantization import float_model

            if self._model is None:
                self._model = trained_model.load(
                    self._layout.float_model, self._config
                )
            convert = getattr(float_model, f"to_{runtime}")
            path.write_bytes(convert(self._model))
        except ImportError as error:
            raise _CannotEnter(
                f"install the extra `{extra}` of keras-dynamic ({error})"
            ) from error
        except Exception as error:
            # What a converter raises depends on what it does not know.
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise _CannotEnter(
                f"the float model was not converted: {reason[:200]}"
            ) from error
        entrant = Entrant(name, runtime, str(path), about, self._accuracy)
        self._require_same(entrant)
        return entrant

    def _require_same(self, entrant) -> None:
        """Checks that an entrant is the network that Keras ran."""
        run = entrant.contestant(1).load()
        found = np.array([run(image).outputs for image in self._images])
        said = predictions.load(self._layout.float_predictions, "test").logits
        expected = said[:, : len(self._images)].swapaxes(0, 1)
        largest = np.abs(found - expected).max()
        if not largest <= _TOLERANCE * np.abs(expected).max():
            raise _CannotEnter(
                f"its logits differ from those of Keras, by up to {largest:.3g}"
            )


def _others(paths, layout, found, images) -> Iterator[Entrant]:
    names = {each.name for each in found}
    labels = predictions.load(layout.predictions, "test").labels
    for given in paths:
        path = pathlib.Path(given).absolute()
        name = path.stem if path.suffix == ".tflite" else path.name
        if path.is_dir():
            path = Layout(path).tflite_model
        if not path.is_file() or name in names:
            raise ValueError(
                "`benchmark.others` must be .tflite files or working "
                "directories with a tflite/model.tflite, each of another name "
                f"than {', '.join(sorted(names))}. Received: {given}"
            )
        names.add(name)
        entrant = Entrant(name, "tflite", str(path), str(given), 0.0)
        try:
            run = entrant.contestant(1).load()
            said = [run(image).outputs[-1].argmax() for image in images]
        except ValueError as error:
            raise ValueError(
                "`benchmark.others` must take the images of this working "
                f"directory. Received: {given}: {error}"
            ) from error
        accuracy = float(np.mean(said == labels))
        yield dataclasses.replace(entrant, accuracy=accuracy)
