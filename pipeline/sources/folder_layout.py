"""Finds out in which directories of a folder the images of a class lie."""

import dataclasses
from collections.abc import Collection, Mapping

from absl import logging

from pipeline.sources import split_names


@dataclasses.dataclass(frozen=True)
class Layout:
    """Describes which directories are splits, and on which level they are.

    Attributes:
        splits: Split of each directory that is one, by its name as it is
            written; empty if the folder holds classes alone.
        classes_first: Whether the splits lie in the classes.
    """

    splits: Mapping[str, str]
    classes_first: bool = False

    def place(self, name: str) -> tuple[str, str, str] | None:
        """Returns the class directory of a path, its class and its split.

        Args:
            name: Path below the folder, such as "train/cat/1.jpg".

        Returns:
            Such as ("train/cat", "cat", "train"); the split is "" where there
            are none. None for a path outside of all class directories.
        """
        parts = name.split("/")
        if not self.splits:
            return (parts[0], parts[0], "") if len(parts) > 1 else None
        if len(parts) < 3:
            return None
        label, split = parts[:2] if self.classes_first else parts[1::-1]
        if split not in self.splits:
            return None
        return f"{parts[0]}/{parts[1]}", label, self.splits[split]

    def outside(self, name: str) -> str:
        """Returns why a path outside of all class directories is no image."""
        top, *below = name.split("/")
        named = [f"{split}/" for split in sorted(self.splits, key=_train_first)]
        if self.classes_first and below:
            return f"in a class, but outside of {' and '.join(named)}"
        if self.classes_first or not self.splits or top in self.splits:
            return "not in a class directory"
        return f"outside of {' and '.join(named)}"


def decide(
    path: str,
    directories: Mapping[str, Collection[str]],
    classes: Collection[str] = (),
) -> Layout:
    """Returns the layout of a folder.

    Args:
        path: The folder, for messages.
        directories: The directories in it, each with those directories in it
            that have a name of a split or lie in one that has.
        classes: Class names that the user gives; a directory of such a name is
            no split.

    Raises:
        ValueError: Some names are those of splits, but not such that it is
            clear what is meant.
    """
    top = _splits(set(directories) - set(classes))
    others = set(directories) - set(top)
    if _are_splits(top) or (set(top.values()) == {"train"} and not others):
        return Layout(top)
    if top and not others:
        raise ValueError(
            "`path` must hold classes, or splits of which one is for training "
            f"({split_names.spellings(('train',))}). Received: path={path!r} "
            f"with {sorted(directories)}"
        )
    for name in sorted(top):
        if repeated := sorted(others & set(directories[name])):
            raise ValueError(
                "`path` must hold classes, or splits with classes in them, but "
                f"not both; give `classes` to say what is meant. Received: "
                f"path={path!r} with {sorted(directories)[:20]}, of which "
                f"{name!r} holds {repeated[:5]}, too"
            )
        logging.warning(
            "%s: the directory %r, which has the name of a split, is taken for "
            "a class beside %s",
            path,
            name,
            ", ".join(map(repr, sorted(others)[:5])),
        )
    inner = {label: _splits(directories[label]) for label in others}
    nested = {
        name: split for each in inner.values() for name, split in each.items()
    }
    if not top and _are_splits(nested):
        return Layout(nested, classes_first=True)
    held_out = {
        label: sorted(name for name, split in each.items() if split != "train")
        for label, each in sorted(inner.items())
    }
    if len(suspect := {k: names for k, names in held_out.items() if names}) > 1:
        raise ValueError(
            "`path` must hold classes; if these are divided into splits, one "
            f"must be for training ({split_names.spellings(('train',))}). "
            f"Received: path={path!r} with "
            + ", ".join(
                f"{label}/{name}/"
                for label, names in list(suspect.items())[:5]
                for name in names
            )
        )
    return Layout({})


def _splits(names: Collection[str]) -> dict[str, str]:
    """Returns the splits of those names that say one."""
    found = {name: split_names.of(name) for name in names}
    return {name: split for name, split in sorted(found.items()) if split}


def _are_splits(found: Mapping[str, str]) -> bool:
    """Tells whether there are training images and images held out."""
    return "train" in found.values() and len(set(found.values())) > 1


def _train_first(name: str) -> tuple[bool, str]:
    return split_names.of(name) != "train", name
