"""Gathers finished working directories into experiments.

Directories whose configurations differ in nothing but the seed are one
experiment; each of them is a run of it.
"""

import dataclasses
import itertools
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from keras_dynamic.exits.curves.curve import Curve, area, closed
from pipeline.experiments import published, timed
from pipeline.experiments.timed import Timed
from pipeline.results import metrics_file
from pipeline.results.layout import Layout
from pipeline.storage import json_file

CURVES = ("anytime", "budgeted_batch")
# Of models that are measured, and the verb that does it.
KINDS = {"float": "evaluate", "int8": "convert"}

# Settings that change nothing about what a model answers.
_IMMATERIAL = ("seed", "memory_gib", "check", "benchmark", "data.directory")
# How many of the settings that tell experiments apart are named.
_NAMED = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """Holds the curves that were measured in one working directory.

    Attributes:
        settings: Configuration of the run, as nested mappings.
        areas: The area under each curve on the test split, by curve.
        test: Each curve on the test split, by curve. Without calibration
            images, and for a single exit, there is no "budgeted_batch".
        calibration: Each curve on the calibration split, by curve, if that
            split had images.
        gated: Whether the cost of an image depends on it: the costs of the
            curves are means, and each seed has its own.
        workdir: Path of the directory, if that is known.
        images: Number of test images; 0 if that is not known.
        timed: Times of the int8 model, if there are some.
    """

    settings: Mapping[str, Any]
    areas: Mapping[str, float]
    test: Mapping[str, Curve]
    calibration: Mapping[str, Curve]
    gated: bool = False
    workdir: pathlib.Path | None = None
    images: int = 0
    timed: Timed | None = None

    @property
    def seed(self) -> int:
        """Returns the seed of training."""
        return self.settings["seed"]

    def area(self, curve: str, low: float, high: float) -> float:
        """Returns the mean accuracy over a range of costs; see `curve.area`."""
        found = self.test[curve]
        if curve == "budgeted_batch":
            found = closed(found, self.test["anytime"])
        return area(found, low, high)


@dataclasses.dataclass(frozen=True, eq=False)
class RunGroup:
    """Holds the runs of one experiment, which differ in their seed.

    Attributes:
        label: The configuration's name, and the settings that tell it from
            others of that name.
        runs: Runs by increasing seed, at least one.
    """

    label: str
    runs: tuple[Run, ...]

    @property
    def settings(self) -> Mapping[str, Any]:
        """Returns the settings of the runs, with the seed of the first."""
        return self.runs[0].settings

    @property
    def family(self) -> str:
        """Returns the family of the model."""
        return self.settings["model"]["family"]

    @property
    def epochs(self) -> int:
        """Returns the epochs of training."""
        return self.settings["train"]["epochs"]

    @property
    def dataset(self) -> str:
        """Returns the title of the data set."""
        return dataset_title(self.settings)

    @property
    def madds(self) -> tuple[float, ...]:
        """Returns the cumulative multiply-adds of each exit, [K]."""
        return self.runs[0].test["anytime"].costs

    @property
    def images(self) -> int:
        """Returns the number of test images; 0 if that is not known."""
        return self.runs[0].images

    @property
    def is_timed(self) -> bool:
        """Tells whether all runs have times of their int8 model."""
        return all(run.timed for run in self.runs)

    @property
    def is_static(self) -> bool:
        """Tells whether the model has one exit only."""
        return len(self.madds) == 1


def read(workdir: pathlib.Path, kind: str) -> Run:
    """Reads the curves of a kind of the model from a working directory.

    Args:
        workdir: A working directory.
        kind: One of `KINDS`.

    Raises:
        ValueError: The directory has no such measurement; the message names
            the verb to run.
    """
    layout = Layout(workdir)
    if not workdir.is_dir():
        raise ValueError(
            "`workdirs` must be working directories of keras-dynamic. "
            f"Received: {workdir}, which is no directory"
        )
    advice = (
        f"Run `keras-dynamic {KINDS[kind]}` with --workdir={workdir} first."
    )
    for path in (layout.config, layout.metrics):
        if not path.exists():
            raise ValueError(f"{path} does not exist. {advice}")
    settings = json_file.read(layout.config)
    metrics = metrics_file.read(layout.metrics)
    found = of_metrics(settings, metrics, kind)
    if not found:
        raise ValueError(
            f"{layout.metrics} has no curves of the {kind} model. {advice}"
        )
    return dataclasses.replace(
        found, workdir=workdir, timed=timed.read(layout, metrics)
    )


def of_metrics(
    settings: Mapping[str, Any], metrics: Mapping[str, Any], kind: str
) -> Run | None:
    """Returns the curves of a kind of the model in a metrics.json, or None.

    Args:
        settings: The configuration, as nested mappings.
        metrics: The content of metrics.json.
        kind: One of `KINDS`.
    """
    curves = metrics.get("curves", {}).get(kind)
    if not curves:
        return None
    return Run(
        settings=settings,
        areas={name: curve["area"] for name, curve in curves.items()},
        test={
            name: _curve(curve, "madds", "accuracy")
            for name, curve in curves.items()
        },
        calibration={
            name: _curve(curve, "calibration_madds", "calibration_accuracy")
            for name, curve in curves.items()
            if "calibration_madds" in curve["points"][0]
        },
        gated=any("dynamic_madds" in row for row in metrics["exits"]),
        images=metrics["dataset"].get("test", 0),
    )


def gather(runs: Sequence[Run]) -> list[RunGroup]:
    """Returns the experiments of some runs, in the order of their first ones.

    Raises:
        ValueError: Two runs of one experiment have the same seed, or other
            costs or curves.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        key = json.dumps(_material(run.settings), sort_keys=True)
        groups.setdefault(key, []).append(run)
    for group in groups.values():
        group.sort(key=lambda run: run.seed)
        for run, other in itertools.pairwise(group):
            if run.seed == other.seed:
                raise ValueError(
                    "`workdirs` must differ in their configuration or in "
                    f"`config.seed`. Received: {run.workdir} and "
                    f"{other.workdir}, both with seed {run.seed}"
                )
            costs = [each.test["anytime"].costs for each in (run, other)]
            if (
                (not run.gated and costs[0] != costs[1])
                or len(costs[0]) != len(costs[1])
                or run.test.keys() != other.test.keys()
            ):
                raise ValueError(
                    "Runs with the same configuration must have the same "
                    "curves, and exits of the same cost; run `keras-dynamic "
                    f"evaluate` again. Received: {run.workdir} and "
                    f"{other.workdir}"
                )
    gathered = list(groups.values())
    return [
        RunGroup(label, tuple(group))
        for label, group in zip(_labels(gathered), gathered, strict=True)
    ]


def dataset_title(settings: Mapping[str, Any]) -> str:
    """Returns the title of the data set of a configuration.

    That is the title of a published one if the configuration's name says so;
    else the source, and the last part of its path.
    """
    if known := published.dataset_of(settings["name"]):
        return published.DATASETS[known]
    path = str(settings["data"]["source_options"].get("path", ""))
    return f"{settings['data']['source']} {pathlib.PurePath(path).name}".strip()


def _curve(curve: dict, cost: str, accuracy: str) -> Curve:
    return Curve(
        *(
            tuple(point[name] for point in curve["points"])
            for name in ("target", cost, accuracy)
        )
    )


def _material(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Picks settings that may change a model's answers, by dotted name."""
    return {
        name: value
        for name, value in _flat(settings)
        if not any(
            name == other or name.startswith(f"{other}.")
            for other in _IMMATERIAL
        )
    }


def _flat(settings: Mapping[str, Any], prefix: str = ""):
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _labels(groups: Sequence[Sequence[Run]]) -> list[str]:
    """Names experiments by their configuration and how it differs."""
    settings = [_material(group[0].settings) for group in groups]
    differing = []
    for own in settings:
        namesakes = [each for each in settings if each["name"] == own["name"]]
        # In the order of the configuration; a schema may have grown since.
        keys = dict.fromkeys(key for each in namesakes for key in each)
        differing.append(
            [
                f"{key}={own.get(key, 'unset')}"
                for key in keys
                if any(each.get(key) != own.get(key) for each in namesakes)
            ]
        )
    names = [own["name"] for own in settings]
    short = [
        _label(*each, _NAMED) for each in zip(names, differing, strict=True)
    ]
    if len(set(short)) == len(short):
        return short
    return [
        _label(name, each, len(each))
        for name, each in zip(names, differing, strict=True)
    ]


def _label(name: str, differing: Sequence[str], most: int) -> str:
    left = len(differing) - most
    more = [f"and {left} more"] if left > 0 else []
    return " ".join([name, *differing[:most], *more])
