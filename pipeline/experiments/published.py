"""Curves that papers printed, to draw ours beside.

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
    """One point of a published curve.

    Attributes:
        madds: Multiply-adds by the papers' rule, a mean for policies.
        accuracy: In [0, 1].
        by_eye: Whether other marks of the figure hide it.
    """

    madds: float
    accuracy: float
    by_eye: bool


@dataclasses.dataclass(frozen=True)
class Published:
    """The curves of one model on one data set in one paper.

    Attributes:
        name: How the command line calls it.
        title: Of the model.
        paper: Where it is drawn; another paper may have trained it again.
        family: Of the model, as in `config.model.family`.
        objective: As in `config.train.objective`.
        dataset: One of `DATASETS`.
        epochs: Of training; None where neither paper nor code says.
        source: The paper, and what was read of it.
        notes: How each curve was read, by its name.
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
        """The name in a legend, with what sets it apart from a measurement."""
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
        ValueError: There is none of that name.
    """
    known = load()
    if unknown := [name for name in names if name not in known]:
        raise ValueError(
            f"`published` must be some of {', '.join(known)}. "
            f"Received: {', '.join(unknown)}"
        )
    return [known[name] for name in names]


def matching(family: str, objective: str, dataset: str) -> list[Published]:
    """Returns what was published of a model family on a data set.

    Trained jointly, and with the same objective if that was published, too.

    Args:
        family: As in `config.model.family`.
        objective: As in `config.train.objective`.
        dataset: As from `dataset_of`.
    """
    return [
        each
        for each in load().values()
        if (each.family, each.dataset) == (family, dataset)
        and each.objective in ("joint", objective)
    ]


def dataset_of(config_name: str) -> str:
    """Returns which of `DATASETS` a configuration's name has, or "".

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
