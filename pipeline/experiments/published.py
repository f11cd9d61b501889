"""Reads curves that papers printed, to draw ours beside.

None of these papers tabulates its curves; the numbers in published.json were
read from the authors' figures and are no more precise than its notes say. Its
points are millions of multiply-adds, accuracy in percent and, where a point is
hidden behind others, "by eye".

Their multiply-adds also count ReLU, pooling and biases. For MSDNet they count
whole blocks, ours only what an exit needs: its first exit of the CIFAR anytime
model is 13.4 M here and 15.1 M there.

They are accuracies on the data sets as published. A run on other files of the
same images, such as JPEGs of CIFAR, has another task: beside them its curve
shows a shape, and no difference in accuracy. A folder does not say what its
files have been through, so the labels of the curves say what theirs are.
"""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Mapping, Sequence

DATASETS = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "imagenet": "ImageNet",
}

_FILE = pathlib.Path(__file__).parent / "published.json"


@dataclasses.dataclass(frozen=True)
class Point:
    """Describes one point of a published curve.

    Attributes:
        madds: Multiply-adds by the papers' rule, a mean for policies.
        accuracy: Accuracy in [0, 1].
        by_eye: Whether other marks of the figure hide the point.
    """

    madds: float
    accuracy: float
    by_eye: bool


@dataclasses.dataclass(frozen=True)
class Published:
    """Holds the curves of one model on one data set in one paper.

    Attributes:
        name: Name on the command line.
        title: Title of the model.
        paper: Paper with the figure; another one may have trained it again.
        family: Family of the model, as in `config.model.family`.
        objective: Objective of training, as in `config.train.objective`.
        dataset: Name of the data set, one of `DATASETS`.
        epochs: Epochs of training; None where neither paper nor code says.
        source: The paper, and what was read of it.
        notes: How each curve was read, by the name of the curve.
        curves: Points by increasing cost, by "anytime" or "budgeted_batch".
    """

    name: str
    title: str
    paper: str
    family: str
    objective: str
    dataset: str
    epochs: int | None
    source: str
    notes: Mapping[str, str]
    curves: Mapping[str, tuple[Point, ...]]

    @property
    def label(self) -> str:
        """Returns the name in a legend, which tells it from a measurement."""
        epochs = f"{self.epochs} epochs" if self.epochs else "epochs not stated"
        note = self.notes["anytime"].partition(";")[0].partition(", hidden")[0]
        return (
            f"{self.title}, {self.paper}, {DATASETS[self.dataset]} "
            f"(original images), {epochs}; {note}"
        )


@functools.cache
def load() -> dict[str, Published]:
    """Returns all published curves by name."""
    entries = json.loads(_FILE.read_text(encoding="utf-8"))
    return {entry["name"]: _published(entry) for entry in entries}


def choose(names: Sequence[str]) -> list[Published]:
    """Returns the published curves of some names.

    Raises:
        ValueError: There is no curve of one of the names.
    """
    known = load()
    if unknown := [name for name in names if name not in known]:
        raise ValueError(
            f"`published` must be some of {', '.join(known)}. "
            f"Received: {', '.join(unknown)}"
        )
    return [known[name] for name in names]


def matching(family: str, objective: str, dataset: str) -> list[Published]:
    """Returns the published curves of a model family on a data set.

    They are those of models trained jointly, and those of models trained with
    the given objective if that was published, too.

    Args:
        family: Family of the model, as in `config.model.family`.
        objective: Objective of training, as in `config.train.objective`.
        dataset: Name of the data set, from `dataset_of`.
    """
    return [
        each
        for each in load().values()
        if (each.family, each.dataset) == (family, dataset)
        and each.objective in ("joint", objective)
    ]


def dataset_of(config_name: str) -> str:
    """Returns the name in `DATASETS` that a configuration's name has, or "".

    A folder of images does not say what it holds; names of configurations do,
    such as ranet_cifar10_model1.
    """
    words = config_name.split("_")
    return next((name for name in DATASETS if name in words), "")


def _published(entry: dict) -> Published:
    curves = entry.pop("curves")
    return Published(
        **entry,
        notes={name: curve["note"] for name, curve in curves.items()},
        curves={
            name: tuple(
                Point(1e6 * millions, percent / 100, bool(by_eye))
                for millions, percent, *by_eye in curve["points"]
            )
            for name, curve in curves.items()
        },
    )
