"""Reads a folder of JPEG and PNG files, with one directory per class.

Files lie in ROOT/<class>/..., or in ROOT/train/<class>/... and
ROOT/test/<class>/... where the publisher chose the test images: those stay the
test split, and the others are divided by hash.
"""

import collections
import dataclasses
import zlib
from collections.abc import Iterator, Mapping, Sequence

from pipeline.sources import classes, tree
from pipeline.sources.item import Found, Item
from pipeline.storage import fingerprint
from pipeline.storage.written_name import written

_EXTENSIONS = (".jpg", ".jpeg", ".png")

_PIECE = 20_000  # Images, about.


@dataclasses.dataclass(frozen=True)
class ImageFolder:
    """Reads a folder; a key is the path below it, with forward slashes.

    Every file is an item. A file with another extension, outside of the class
    directories or in a hidden one is an item with a reason.

    Attributes:
        path: The folder, local or on an object store. Links are followed.
        classes: Class names in the order of their labels, for labels that
            must agree with another data set; images of other classes are set
            aside. By default the sorted names of the class directories.
    """

    path: str
    classes: Sequence[str] = ()

    def __post_init__(self) -> None:
        path = tree.absolute(self.path)
        object.__setattr__(self, "path", path)
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
        splits = self._splits()
        images, taught = collections.Counter(), set()
        for name, fault in tree.walk(self.path):
            if not name:
                raise ValueError(
                    "`path` must be a directory that can be listed. "
                    f"Received: path={self.path!r}, which {fault}"
                )
            directory = _class_directory(name, splits)
            if directory is None:
                continue
            images[directory] += _is_image(name) and not fault
            top, _, label = directory.rpartition("/")
            if images[directory] and splits[top] is None:
                taught.add(label)
        found = {directory.rpartition("/")[2] for directory in images}
        labels = self.classes or tuple(sorted(found))
        if len(found & set(labels)) < 2:
            raise ValueError(
                "`path` must hold at least two directories, one per class. "
                f"Received: path={self.path!r} with {sorted(found)}"
                + (f", classes={list(labels)}" if self.classes else "")
            )
        if untaught := sorted(found & set(labels) - taught):
            raise ValueError(
                "Every class directory must hold training images "
                f"({', '.join(_EXTENSIONS)}). Received: path={self.path!r} "
                f"with none for {', '.join(untaught)}"
            )
        numbers = {name: label for label, name in enumerate(labels)}
        pieces = ["-1:0/1:"]
        for directory in sorted(images):
            label = numbers.get(directory.rpartition("/")[2], -1)
            parts = -(-images[directory] // _PIECE) or 1
            pieces += [f"{label}:{k}/{parts}:{directory}" for k in range(parts)]
        return Found(
            labels=labels,
            pieces=tuple(pieces),
            images=images.total(),
            splits=tuple(split for split in splits.values() if split),
        )

    def paths(self) -> tuple[str, ...]:
        """Returns the folder."""
        return (self.path,)

    def items(self, piece: str) -> Iterator[Item]:
        """Yields files of a class directory, or those outside of all.

        Args:
            piece: "label:part/parts:directory". A part of a directory holds the
                files whose names have one remainder: for every part all of the
                directory is listed, which takes little beside reading images.
        """
        label, numbers, directory = piece.split(":", 2)
        part, parts = map(int, numbers.split("/"))
        if not directory:
            yield from self._outside()
            return
        top, _, name = directory.rpartition("/")
        split = "test" if top == "test" else None
        for key, fault in tree.walk(self.path, below=directory):
            if parts > 1 and _checksum(key) % parts != part:
                continue
            if fault:
                yield _rejected(key, fault)
            elif key.endswith("/"):
                continue
            elif not _is_text(key):
                yield _rejected(key, "the name is not UTF-8")
            elif label == "-1":
                yield _rejected(key, f"unknown class {name!r}")
            elif not _is_image(key):
                yield _rejected(key, f"not one of {', '.join(_EXTENSIONS)}")
            else:
                yield Item(key, int(label), key, split)

    def load(self, location: str) -> bytes:
        """Returns the bytes of an image file."""
        return tree.read(f"{self.path}/{location}")

    def state(self) -> str:
        """Returns a hash of the names, sizes and times of the files."""
        return fingerprint.of(tree.state(self.path), self.classes)

    def _splits(self) -> Mapping[str, str | None]:
        """Returns the split of each directory that holds class directories."""
        tops = {"train": None, "test": "test"}
        if all(tree.is_directory(tree.join(self.path, top)) for top in tops):
            return tops
        return {"": None}

    def _outside(self) -> Iterator[Item]:
        """Yields the files that are not in a class directory."""
        splits = self._splits()

        def listed(name: str) -> bool:
            return _class_directory(f"{name}/", splits) is not None

        for name, fault in tree.walk(self.path, skip=listed):
            if fault:
                yield _rejected(name, fault)
            elif name.endswith("/"):
                continue
            elif not _is_text(name):
                yield _rejected(name, "the name is not UTF-8")
            elif "" in splits or name.partition("/")[0] in splits:
                yield _rejected(name, "not in a class directory")
            else:
                yield _rejected(name, f"outside of {'/ and '.join(splits)}/")


def _class_directory(name: str, splits: Mapping[str, str | None]) -> str | None:
    """Returns the class directory of a path, such as "train/cat" or "cat"."""
    parts = name.split("/", 2)
    top = "" if "" in splits else parts.pop(0)
    if top not in splits or len(parts) < 2:
        return None
    directory = parts[0]
    if directory.startswith(".") or not _is_text(directory):
        return None
    return f"{top}/{directory}" if top else directory


def _checksum(name: str) -> int:
    return zlib.crc32(name.encode(errors="surrogateescape"))


def _is_image(name: str) -> bool:
    return name.lower().endswith(_EXTENSIONS)


def _rejected(key: str, reason: str) -> Item:
    return Item(written(key), -1, "", None, reason)


def _is_text(name: str) -> bool:
    """Tells whether a name is valid UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
