"""A folder of JPEG and PNG files, with one directory per class.

Either ROOT/<class>/..., or ROOT/train/<class>/... and ROOT/test/<class>/...
where the publisher chose the test images: those stay the test split, and the
others are divided by hash.
"""

import os
import pathlib
import posixpath
from collections.abc import Iterable, Iterator, Sequence

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from PIL import Image

from pipeline import fingerprint, image
from pipeline.sources.listing import Item, Listing

_EXTENSIONS = (".jpg", ".jpeg", ".png")


def find(path: str, classes: Sequence[str] = ()) -> Listing:
    """Lists a folder; a key is the path below it, with forward slashes.

    Every file is listed or rejected: other extensions, files outside of the
    class directories, hidden directories.

    Args:
        path: The folder. Links to directories are followed.
        classes: Class names in the order of their labels, for labels that
            must agree with another data set. By default the sorted names of
            the class directories.

    Raises:
        ValueError: The folder is missing, holds fewer than two classes or a
            class without training images, or its directories are not in
            `classes`.
    """
    root = pathlib.Path(path)
    if not path or not root.is_dir():
        raise ValueError(
            f"`path` must be an existing directory. Received: path={path!r}"
        )
    splits = {"": None}
    if (root / "train").is_dir() and (root / "test").is_dir():
        splits = {"train": None, "test": "test"}
    found = _directories(root / top for top in splits)
    names = tuple(classes) or found
    _check_classes(path, names, found)

    labels = {name: label for label, name in enumerate(names)}
    items, rejected = [], []
    for key in _files(root):
        top, _, rest = key.partition("/") if len(splits) > 1 else ("", "", key)
        name, _, file = rest.partition("/")
        readable = key.encode(errors="backslashreplace").decode()
        if readable != key:
            rejected.append((readable, "the name is not UTF-8"))
        elif top not in splits:
            rejected.append((key, "outside of train/ and test/"))
        elif not file or name not in labels:
            rejected.append((key, "not in a class directory"))
        elif not file.lower().endswith(_EXTENSIONS):
            rejected.append((key, f"not one of {', '.join(_EXTENSIONS)}"))
        else:
            location = os.path.join(path, key)
            items.append(Item(key, labels[name], location, splits[top]))

    taught = {names[item.label] for item in items if item.split is None}
    if untaught := sorted(set(found) - taught):
        raise ValueError(
            "Every class directory must hold training images "
            f"({', '.join(_EXTENSIONS)}). "
            f"Received: path={path!r} with none for {', '.join(untaught)}"
        )
    return Listing(names, tuple(items), tuple(rejected))


def state(path: str, classes: Sequence[str] = ()) -> str:
    """A hash of the names, sizes and times of the files below a folder."""
    root = pathlib.Path(path)
    facts = []
    for key in sorted(_files(root)) if root.is_dir() else ():
        try:
            stat = (root / key).stat()
            facts.append((key, stat.st_size, stat.st_mtime_ns))
        except OSError:  # A link to nothing is set aside in `load`.
            facts.append((key, 0, 0))
    return fingerprint.of(facts, list(classes))


def load(location: str) -> Image.Image:
    """Reads and decodes one file.

    Raises:
        BadImage: The file is damaged, has gone, or may not be read. Other
            errors of the file system pass, so that a runner tries again.
    """
    try:
        with FileSystems.open(
            location, compression_type=CompressionTypes.UNCOMPRESSED
        ) as file:
            data = file.read()
    except (FileNotFoundError, PermissionError) as error:
        raise image.BadImage(f"cannot be read: {error.strerror}") from error
    return image.decode(data)


def _directories(tops: Iterable[pathlib.Path]) -> tuple[str, ...]:
    return tuple(
        sorted(
            {
                entry.name
                for top in tops
                for entry in top.iterdir()
                if entry.is_dir() and not entry.name.startswith(".")
            }
        )
    )


def _files(root: pathlib.Path) -> Iterator[str]:
    # Not FileSystems.match: on local disks it skips links to directories and
    # dangling links without a word, and cannot quote a "[" in a path.
    for directory, _, files in os.walk(root, followlinks=True):
        below = pathlib.Path(directory).relative_to(root)
        for file in files:
            yield posixpath.join(*below.parts, file)


def _check_classes(
    path: str, names: tuple[str, ...], found: tuple[str, ...]
) -> None:
    if len(found) < 2:
        raise ValueError(
            "`path` must hold at least two directories, one per class. "
            f"Received: path={path!r} with {list(found)}"
        )
    if len(set(names)) < len(names):
        raise ValueError(
            f"`classes` must differ from each other. Received: {list(names)}"
        )
    if unknown := sorted(set(found) - set(names)):
        raise ValueError(
            f"`classes` must name every class directory of {path!r}. "
            f"Received: classes={list(names)} without {', '.join(unknown)}"
        )
