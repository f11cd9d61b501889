"""Runs an experiment from Python: the command line's work, as methods."""

import copy
import functools
import json
import operator
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections
import numpy as np

from pipeline import stages
from pipeline.config import (
    ConfigError,
    check_override,
    load,
    take_family,
    validated,
)
from pipeline.policies import operating_points
from pipeline.policies.refit import Refit
from pipeline.processes import libraries, memory
from pipeline.results import metrics
from pipeline.results.layout import Layout
from pipeline.results.metrics import Metrics
from tflite import bundle
from tflite.format import files
from tflite.runtime.harness import Harness, Result

# What suits most folders of images.
_DEFAULT = "photos"
# Of images that nobody has set some aside of for testing.
_TEST_FRACTION = 0.1


class Experiment:
    """Holds a configuration and the working directory of its results.

    `run` carries out all stages, in order, and leaves out those whose inputs
    have not changed. The other stages are methods of their own names, which
    always run. `absl.logging.set_verbosity("info")` shows what they log.

    Attributes:
        config: The configuration; what is changed in it holds for the stages
            that run afterwards.
        layout: The paths of the working directory.
    """

    def __init__(
        self,
        workdir: str | os.PathLike[str],
        config: str | ml_collections.ConfigDict | None = None,
        *,
        images: str | os.PathLike[str] | None = None,
        model: object = None,
        overrides: Mapping[str, Any] | None = None,
    ):
        """Takes a configuration; runs nothing, and writes a given model only.

        Args:
            workdir: Directory of the results, which may exist.
            config: Name of a built-in configuration, path of a Python file, or
                a configuration as `pipeline.config.load` returns it. None
                takes the one that the working directory was run with last, or
                else, if there are images or a model, "photos".
            images: A folder with a directory of images per class. The
                configuration then has as many classes, is named after the
                working directory, and sets a tenth of the images aside for
                testing, unless it, or the folder, does so by itself.
            model: A functional Keras model with an output of logits per exit,
                such as `keras_dynamic.attach_exits` makes. It is saved in the
                working directory, for other processes and later runs, and the
                configuration takes that file and its size.
            overrides: Values by dotted keys, such as {"train.epochs": 20}.
                Another "model.family" begins without arguments.

        Raises:
            ValueError: If there is no such configuration or key, a value has
                the wrong type, or the model is no such model.
        """
        self.layout = Layout(pathlib.Path(workdir).absolute())
        if config is None and not self.layout.config.is_file():
            config = _DEFAULT if (images, model) != (None, None) else None
        self.config = _loaded(config, self.layout)
        if images is not None:
            _take_images(self.config, images, self.layout.root.name)
        if model is not None:
            # It loads Keras, which nothing here needs without a model.
            from pipeline.training import given_model

            given_model.take(self.config, model, self.layout.root)
        _override(self.config, overrides or {})

    def run(self) -> Any:
        """Runs the stages whose inputs have changed.

        Returns:
            The value that each stage returned, by its name; None if the stage
            was left out.

        Raises:
            ValueError: If a stage fails, such as `check`.
        """
        return self._run(tuple(stages.STAGES), skip_finished=True)

    def prepare(self, beam_args: Sequence[str] = ()) -> Any:
        """Writes the images as shards.

        Args:
            beam_args: Options of Beam, such as "--direct_num_workers=4".
        """
        return self._stage("prepare", beam_args=beam_args)

    def train(self) -> Any:
        """Trains the float model, from where a killed training stopped."""
        return self._stage("train")

    def evaluate(self) -> Any:
        """Measures the float model, and begins `metrics` anew."""
        return self._stage("evaluate")

    def quantize(self) -> Any:
        """Fine-tunes the trained model with fake quantization."""
        return self._stage("quantize")

    def convert(self) -> Any:
        """Makes the int8 model, cuts it, and writes the bundle."""
        return self._stage("convert")

    def check(self) -> Any:
        """Compares int8 with float, and the chain with the unsplit model.

        Raises:
            ValueError: If they differ by more than `config.check` allows.
        """
        return self._stage("check")

    def benchmark(self) -> Any:
        """Measures milliseconds and memory."""
        return self._stage("benchmark")

    def report(
        self, others: Sequence[str | os.PathLike[str]] = ()
    ) -> pathlib.Path:
        """Writes the page that shows it all, and returns its path.

        Args:
            others: Working directories to draw beside this one.
        """
        paths = [pathlib.Path(each).absolute() for each in others]
        self._stage("report", others=paths)
        return self.layout.report

    @property
    def metrics(self) -> Metrics:
        """Returns the content of metrics.json, read anew each time.

        Raises:
            ValueError: If `evaluate` has not run.
        """
        return metrics.read(self.layout.metrics)

    @property
    def bundle(self) -> "ShippedBundle":
        """Returns the bundle that `convert` has made."""
        return ShippedBundle(self.layout.bundle)

    def _stage(self, name: str, **arguments: Any) -> Any:
        made = self._run(
            (name,), skip_finished=False, arguments={name: arguments}
        )
        return made and made.get(name)

    def _run(self, names: tuple[str, ...], **options: Any) -> Any:
        libraries.set_defaults()
        memory.keep_freed_memory()
        return stages.run(self.config, self.layout, names, **options)


class ShippedBundle:
    """Opens the bundle of an experiment.

    Attributes:
        directory: Path of the bundle.
    """

    def __init__(self, directory: pathlib.Path):
        self.directory = directory

    def read(self) -> bundle.Bundle:
        """Reads the bundle's manifest: policies, labels, segments.

        Raises:
            bundle.InvalidBundle: If it is not a sound bundle.
        """
        return bundle.read(str(self.directory))

    def harness(self, **options: Any) -> Harness:
        """Opens the bundle to run it, such as over many images.

        Args:
            **options: Keyword arguments of `tflite.Harness`.
        """
        return Harness(str(self.directory), **options)

    def refit(
        self,
        name: str | None = None,
        *,
        max_drop: float | None = None,
        budget_madds: float | None = None,
        budget_ms: float | None = None,
        exit_ms: Sequence[float] | None = None,
    ) -> Refit:
        """Adds another policy without training; nothing but policies changes.

        Args:
            name: Name of the operating point; None replaces the default
                policy.
            max_drop: Accuracy that may be lost against the last exit, a share
                of the images.
            budget_madds: Highest mean number of multiply-adds of an image.
            budget_ms: Highest mean number of milliseconds of an image. One of
                the three must be given.
            exit_ms: Milliseconds up to each exit, [K]; for `budget_ms`
                measured here if they are not given, otherwise multiply-adds
                are the cost.

        Returns:
            The policy, and its results on the calibration images.

        Raises:
            ValueError: If an argument is not as said, or no policy does what
                is asked for.
        """
        return operating_points.fit(
            self.directory,
            name,
            max_drop=max_drop,
            budget_madds=budget_madds,
            budget_ms=budget_ms,
            exit_ms=exit_ms,
        )

    def classify(
        self,
        photo: str | os.PathLike[str] | np.ndarray,
        point: str | None = None,
    ) -> Result:
        """Classifies a photo, fitted and cropped as in evaluation.

        The bundle is opened, and closed, each time: for many images `harness`
        is faster.

        Args:
            photo: A file of an image, or pixels uint8 [H, W] or [H, W, C] of
                any height and width, C 1 or 3.
            point: Name of an operating point; the bundle's policy without.

        Raises:
            ValueError: If it is no such photo, or there is no such point.
            OSError: If the file cannot be read.
        """
        with self.harness() as harness:
            return harness.classify(_pixels(photo, harness.bundle), point)


def _loaded(
    config: str | ml_collections.ConfigDict | None, layout: Layout
) -> ml_collections.ConfigDict:
    """Returns a copy of the configuration, which may be changed."""
    if config is None:
        if not layout.config.is_file():
            raise ValueError(
                "`config` must be given where `workdir` has not been run. "
                f"Received: workdir={str(layout.root)!r}"
            )
        text = layout.config.read_text(encoding="utf-8")
        found = ml_collections.ConfigDict(_frozen(json.loads(text)))
        return validated(found).lock()
    if isinstance(config, ml_collections.ConfigDict):
        return validated(copy.deepcopy(config)).lock()
    return load(config)


def _frozen(value: Any) -> Any:
    """Turns the lists of JSON into tuples, as configurations have them."""
    if isinstance(value, dict):
        return {key: _frozen(each) for key, each in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _take_images(
    config: ml_collections.ConfigDict,
    images: str | os.PathLike[str],
    name: str,
) -> None:
    with config.unlocked():
        config.name = name
        config.data.source = "image_folder"
        config.data.source_options = {"path": os.fspath(images)}
        config.data.fractions.test = (
            config.data.fractions.test or _TEST_FRACTION
        )
        config.model.classes = 0


def _override(
    config: ml_collections.ConfigDict, overrides: Mapping[str, Any]
) -> None:
    if "model.family" in overrides:
        with config.unlocked():
            take_family(config, overrides["model.family"])
    for key, value in overrides.items():
        check_override(key)
        *sections, last = key.split(".")
        section = functools.reduce(operator.getitem, sections, config)
        try:
            with config.unlocked():
                section[last] = value
        except TypeError as error:
            raise ConfigError(
                f"`overrides` must be of the type that {key!r} has: {error}. "
                f"Received: {value!r}"
            ) from error
    validated(config)


def _pixels(
    photo: str | os.PathLike[str] | np.ndarray, opened: bundle.Bundle
) -> np.ndarray:
    """Fits a photo as `prepare` does, and crops it as the evaluation does."""
    from pipeline.data import image, photograph

    if isinstance(photo, np.ndarray):
        return photograph.pixels_for(photo, opened.input)
    content = files.read(os.fspath(photo), image.MAX_BYTES)
    return photograph.pixels_for(content, opened.input)
