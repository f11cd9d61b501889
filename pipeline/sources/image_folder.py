"""Reads a folder of image files, with one directory per class.

Files lie in ROOT/<class>/..., or in ROOT/<split>/<class>/... or
ROOT/<class>/<split>/... where the publisher divided them: validation,
calibration and test images stay what they are, and the others are divided by
hash. A split may be spelled in any usual way (`pipeline.sources.split_names`).
"""

import collections
import dataclasses
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence

from pipeline.data import splits
from pipeline.sources import (
    classes,
    file_names,
    folder_layout,
    split_names,
    tree,
)
from pipeline.sources.item import Found, Item
from pipeline.storage import fingerprint
from pipeline.storage.written_name import written

_PIECE = 20_000  # Images, about.
# Begins keys of images without a class; no class directory has this name.
_UNLABELLED = "//unlabelled/"


@dataclasses.dataclass(frozen=True)
class ImageFolder:
    """Reads a folder; a key is the path below it, with forward slashes.

    Every file is an item. One with another extension or outside of the class
    directories is an item with a reason, as is one that is hidden or a
    system's, or lies in such a directory: these are skipped at every depth.

    Attributes:
        path: The folder, local or on an object store. Links are followed.
        classes: Class names in the order of their labels, for labels that
            must agree with another data set; images of other classes are set
            aside. By default the sorted names of the class directories.
        unlabelled: Another folder, with images of any depth whose class nobody
            knows: all are for training. "" for none.
    """

    path: str
    classes: Sequence[str] = ()
    unlabelled: str = ""

    def __post_init__(self) -> None:
        path = tree.absolute(self.path)
        object.__setattr__(self, "path", path)
        if self.unlabelled:
            unlabelled = tree.absolute(self.unlabelled)
            object.__setattr__(self, "unlabelled", unlabelled)
        object.__setattr__(self, "classes", classes.checked(self.classes))

    def find(self) -> Found:
        """Counts the files; a piece is a part of a class directory.

        Another piece holds the files outside of all class directories.

        Raises:
            ValueError: The folder is missing, holds fewer than two classes or
                a class without training images.
        """
        if not tree.is_directory(self.path):
            raise ValueError(
                "`path` must be an existing directory. "
                f"Received: path={self.path!r}"
            )
        directories, images = self._listed()
        layout = folder_layout.decide(self.path, directories, self.classes)
        counts = collections.Counter()
        for name, count in images.items():
            if place := layout.place(f"{name}/"):
                counts[place] += count
        occurring = {label for _, label, _ in counts}
        taught = {
            label
            for (_, label, split), count in counts.items()
            if count and split in ("", "train")
        }
        labels = self.classes or tuple(sorted(occurring))
        known = occurring & set(labels)
        if len(known) < 2:
            raise ValueError(
                "`path` must hold at least two directories, one per class. "
                f"Received: path={self.path!r} with {sorted(occurring)}"
                + (f", classes={list(labels)}" if self.classes else "")
            )
        if untaught := sorted(known - taught):
            raise ValueError(
                "Every class directory must hold training images "
                f"({', '.join(file_names.IMAGES)}). Received: "
                f"path={self.path!r} with none for {', '.join(untaught)}"
            )
        numbers = {name: label for label, name in enumerate(labels)}
        outside = {
            "splits": dict(layout.splits),
            "classes_first": layout.classes_first,
            "outside_of": sorted({directory for directory, _, _ in counts}),
        }
        pieces = [json.dumps(outside)]
        for (directory, label, split), count in sorted(counts.items()):
            parts = -(-count // _PIECE) or 1
            pieces += [
                json.dumps(
                    {
                        "directory": directory,
                        "class": label,
                        "label": numbers.get(label, -1),
                        "split": split if split != "train" else "",
                        "part": part,
                        "parts": parts,
                    }
                )
                for part in range(parts)
            ]
        published = {split for _, _, split in counts}
        unlabelled = self._unlabelled_images()
        if unlabelled:
            pieces.append(json.dumps({"unlabelled": len(labels)}))
        return Found(
            labels=labels,
            pieces=tuple(pieces),
            images=counts.total() + unlabelled,
            unlabelled=unlabelled,
            splits=tuple(s for s in splits.SPLITS[1:] if s in published),
            divided=sum(
                count
                for (_, _, split), count in counts.items()
                if split in ("", "train")
            ),
        )

    def paths(self) -> tuple[str, ...]:
        """Returns the folder, or both of them."""
        return (self.path, *filter(None, (self.unlabelled,)))

    def items(self, piece: str) -> Iterator[Item]:
        """Yields files of a class directory, or those outside of all.

        Args:
            piece: JSON: the "directory", its "class", "label" and "split", and
                which "part" of how many "parts". A part of a directory holds
                the files whose names have one remainder: for every part all of
                the directory is listed, which takes little beside reading
                images. Or, for the files outside of all class directories, the
                layout and these; or, of those of the other folder, the label
                that means none.
        """
        given = json.loads(piece)
        if "unlabelled" in given:
            yield from self._without_class(given["unlabelled"])
            return
        if "outside_of" in given:
            yield from self._outside(given)
            return
        label, part, parts = (given[k] for k in ("label", "part", "parts"))
        for key, fault in tree.walk(self.path, below=given["directory"]):
            if parts > 1 and _checksum(key) % parts != part:
                continue
            if key.endswith("/") and not fault:
                continue
            if file_names.is_skipped(key):
                yield _rejected(key, file_names.SKIPPED)
            elif fault:
                yield _rejected(key, fault)
            elif not _is_text(key):
                yield _rejected(key, "the name is not UTF-8")
            elif label < 0:
                yield _rejected(key, f"unknown class {given['class']!r}")
            elif not file_names.is_image(key):
                yield _rejected(key, _other_kind(key))
            else:
                yield Item(key, label, key, given["split"] or None)

    def load(self, location: str) -> bytes:
        """Returns the bytes of an image file."""
        if location.startswith(_UNLABELLED):
            name = location.removeprefix(_UNLABELLED)
            return tree.read(f"{self.unlabelled}/{name}")
        return tree.read(f"{self.path}/{location}")

    def state(self) -> str:
        """Returns a hash of the names, sizes and times of the files."""
        seen = [tree.state(self.path), self.classes]
        if self.unlabelled:
            seen.append(tree.state(self.unlabelled))
        return fingerprint.of(*seen)

    def _unlabelled_images(self) -> int:
        """Counts the images without a class.

        Raises:
            ValueError: Their folder is missing, or holds none.
        """
        if not self.unlabelled:
            return 0
        there = tree.is_directory(self.unlabelled)
        count = there and sum(
            file_names.is_image(name)
            and not fault
            and not file_names.is_skipped(name)
            for name, fault in tree.walk(self.unlabelled)
        )
        if not count:
            raise ValueError(
                "`unlabelled` must be an existing directory with images "
                f"({', '.join(file_names.IMAGES)}). "
                f"Received: unlabelled={self.unlabelled!r}"
            )
        return count

    def _without_class(self, label: int) -> Iterator[Item]:
        """Yields the files of the folder of images without a class."""
        for name, fault in tree.walk(self.unlabelled):
            key = f"{_UNLABELLED}{name}"
            if name.endswith("/") and not fault:
                continue
            if file_names.is_skipped(name):
                yield _rejected(key, file_names.SKIPPED)
            elif fault:
                yield _rejected(key, fault)
            elif not _is_text(name):
                yield _rejected(key, "the name is not UTF-8")
            elif not file_names.is_image(name):
                yield _rejected(key, _other_kind(name))
            else:
                yield Item(key, label, key, "train")

    def _listed(
        self,
    ) -> tuple[Mapping[str, set[str]], collections.Counter[str]]:
        """Lists the folder once.

        Returns:
            What `folder_layout.decide` takes, and the number of images in each
            of these directories, by path; those further down count for the
            directory that they lie in.
        """
        directories: dict[str, set[str]] = {}
        images = collections.Counter()
        for name, fault in tree.walk(self.path):
            if not name:
                raise ValueError(
                    "`path` must be a directory that can be listed. "
                    f"Received: path={self.path!r}, which {fault}"
                )
            parts = name.split("/")
            if len(parts) < 2 or not _may_be_class(parts[0]):
                continue
            top, inner = parts[0], parts[1] if len(parts) > 2 else ""
            within = directories.setdefault(top, set())
            if inner and not _may_be_class(inner):
                continue
            directory = top
            if inner and (split_names.of(top) or split_names.of(inner)):
                within.add(inner)
                directory = f"{top}/{inner}"
            images[directory] += (
                file_names.is_image(name)
                and not fault
                and not file_names.is_skipped(name)
            )
        return directories, images

    def _outside(self, given: Mapping) -> Iterator[Item]:
        """Yields the files outside of all class directories."""
        layout = folder_layout.Layout(given["splits"], given["classes_first"])
        inside = set(given["outside_of"])
        for name, fault in tree.walk(self.path, skip=inside.__contains__):
            if name.endswith("/") and not fault:
                continue
            if file_names.is_skipped(name):
                yield _rejected(name, file_names.SKIPPED)
            elif fault:
                yield _rejected(name, fault)
            elif not _is_text(name):
                yield _rejected(name, "the name is not UTF-8")
            else:
                yield _rejected(name, layout.outside(name))


def _may_be_class(directory: str) -> bool:
    return _is_text(directory) and not file_names.is_skipped(directory)


def _other_kind(name: str) -> str:
    endings = ", ".join(file_names.IMAGES)
    return file_names.hint(name) or f"not one of {endings}"


def _checksum(name: str) -> int:
    return zlib.crc32(name.encode(errors="surrogateescape"))


def _rejected(key: str, reason: str) -> Item:
    return Item(written(key), -1, "", None, reason)


def _is_text(name: str) -> bool:
    """Tells whether a name is valid UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
