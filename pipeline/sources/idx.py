"""Reads IDX files: MNIST, Fashion-MNIST and others of the same format.

Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied
to document recognition", 1998; H. Xiao, K. Rasul and R. Vollgraf,
"Fashion-MNIST", 2017. A file is two zero bytes, the type (8: uint8), the
number of dimensions, each of them as 4 bytes, big-endian, and the values.
"""

import dataclasses
import functools
import gzip
import io
import math
import re
import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from absl import logging

from pipeline.data import splits
from pipeline.sources import classes, tree
from pipeline.sources.item import Found, Item
from pipeline.storage import beam_files, fingerprint

FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

_PARTS = {
    "train": None,
    "t10k": "test",
    "test": "test",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
}
_SUFFIXES = ("idx{}-ubyte", "idx{}-ubyte.gz")
_IMAGES = re.compile(r"images[-.]idx3-ubyte(\.gz)?$")
_UINT8 = 8
_MAX_BYTES = 1 << 30  # Twice the largest of EMNIST: a worker holds it.
_MAX_EXPANSION = 1032  # Of deflate, by which gzip compresses.
_PIECE = 10_000  # Images.


@dataclasses.dataclass(frozen=True)
class Idx:
    """Reads a directory of IDX files; keys are "train/number", "t10k/number".

    The files are named "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
    and so on, with "-" or "." before "idx", with ".gz" or not. Images of
    "t10k" or "test", and of "validation", "valid" or "val", stay these splits;
    they may be missing.

    Attributes:
        path: The directory, local or on an object store.
        classes: Class names in the order of their labels; images of other
            labels are set aside. By default "0" to "9".
        fashion: Whether the classes are those of Fashion-MNIST.
    """

    path: str
    classes: Sequence[str] = ()
    fashion: bool = False

    def __post_init__(self) -> None:
        if self.classes and self.fashion:
            raise ValueError(
                "`classes` must be empty when `fashion` is True. "
                f"Received: {list(self.classes)}"
            )
        path = tree.absolute(self.path)
        names = self.classes or (FASHION if self.fashion else "0123456789")
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "classes", classes.checked([*names]))

    def find(self) -> Found:
        """Reads the files; a piece is a range of images.

        Raises:
            ValueError: A file is missing or damaged, or labels are too few.
        """
        pieces, images, published, divided = [], 0, [], 0
        for part, split in _PARTS.items():
            files = self._file(part, "images", 3), self._file(part, "labels", 1)
            if not any(files) and split:
                continue
            if not all(files):
                raise ValueError(
                    f"`path` must hold {part}-images-idx3-ubyte and "
                    f"{part}-labels-idx1-ubyte, or the same with .gz. "
                    f"Received: path={self.path!r}"
                )
            shown, labels = map(self._array, files)
            if len(shown) != len(labels):
                raise ValueError(
                    f"{files[0]} and {files[1]} must be of the same length. "
                    f"Received: {len(shown)} and {len(labels)}"
                )
            images += len(shown)
            divided += 0 if split else len(shown)
            published += [split] if split else []
            pieces += [
                f"{part}:{start}:{start + _PIECE}"
                for start in range(0, len(shown), _PIECE)
            ]
        self._check_others(published)
        return Found(
            self.classes,
            tuple(pieces),
            images,
            tuple(s for s in splits.SPLITS if s in published),
            divided,
        )

    def paths(self) -> tuple[str, ...]:
        """Returns the directory."""
        return (self.path,)

    def items(self, piece: str) -> Iterator[Item]:
        """Yields the images of a range.

        Args:
            piece: "part:start:stop".
        """
        part, start, stop = piece.split(":")
        file = self._file(part, "images", 3)
        labels = self._array(self._file(part, "labels", 1))
        chosen = labels[int(start) : int(stop)].tolist()
        for index, label in enumerate(chosen, int(start)):
            key = f"{part}/{index:05d}"
            if label < len(self.classes):
                yield Item(key, label, f"{file}:{index}", _PARTS[part])
            else:
                yield Item(key, -1, "", None, f"unknown class {label}")

    def load(self, location: str) -> np.ndarray:
        """Returns an image, uint8 [H, W]."""
        name, index = location.split(":")
        return self._array(name)[int(index)]

    def state(self) -> str:
        """Returns a hash of the files, by size and time, and the classes."""
        names = [
            self._file(part, kind, rank)
            for part in _PARTS
            for kind, rank in (("images", 3), ("labels", 1))
        ]
        present = tree.state_of(self.path, filter(None, names))
        return fingerprint.of(present, self.classes)

    def _check_others(self, published: Sequence[str]) -> None:
        """Warns of files with images that are not read.

        Raises:
            ValueError: Two parts are of one split.
        """
        if len(set(published)) < len(published):
            raise ValueError(
                "`path` must hold one part per split. Received: "
                f"path={self.path!r} with several of "
                f"{', '.join(sorted(published))}"
            )
        others = sorted(
            name
            for name, _ in tree.walk(self.path, skip=lambda _: True)
            if _IMAGES.search(name)
            and not any(name == self._file(p, "images", 3) for p in _PARTS)
        )
        if others:
            logging.warning(
                "%s: not read, as the names do not begin with one of %s: %s",
                self.path,
                ", ".join(f"{part}-images" for part in _PARTS),
                ", ".join(others[:5]),
            )

    def _file(self, part: str, kind: str, rank: int) -> str:
        """Returns the name of a file that is there, or ""."""
        for dash in "-.":
            for suffix in _SUFFIXES:
                name = f"{part}-{kind}{dash}{suffix.format(rank)}"
                if tree.version(tree.join(self.path, name)):
                    return name
        return ""

    def _array(self, name: str) -> np.ndarray:
        path = tree.join(self.path, name)
        return _read(path, tree.version(path), 3 if "-images" in name else 1)


@functools.lru_cache(maxsize=4)
def _read(path: str, version: str, rank: int) -> np.ndarray:
    """Returns the values of a file, uint8 of `rank` dimensions.

    Raises:
        ValueError: It is not what its header says.
    """
    try:
        data = beam_files.read(path, _MAX_BYTES)
    except OSError as error:
        raise ValueError(
            f"{path} must be an IDX file. Received: {error.strerror or error}"
        ) from error
    zipped = path.endswith(".gz")
    most = min(_MAX_BYTES, len(data) * (_MAX_EXPANSION if zipped else 1))
    data = io.BytesIO(data)
    with gzip.open(data) if zipped else data as file:
        try:
            head = file.read(4 + 4 * rank)
            if head[:4] != bytes((0, 0, _UINT8, rank)):
                raise ValueError(
                    f"{path} must be an IDX file of bytes with {rank} "
                    f"dimensions. Received: {head[:4].hex(' ') or 'nothing'}"
                )
            shape = struct.unpack_from(f">{rank}I", head, 4)
            size = math.prod(shape)
            if size > most:
                raise ValueError(
                    f"{path} must hold {size} bytes after its header. "
                    f"Received: a file that is read to {most} bytes"
                )
            values = file.read(size + 1)
        except (EOFError, OSError, zlib.error, struct.error) as error:
            raise ValueError(
                f"{path} must be a whole IDX file. Received: {error}"
            ) from error
    if len(values) != size:
        raise ValueError(
            f"{path} must hold {size} bytes after its header. Received: "
            f"{'more' if len(values) > size else len(values)}"
        )
    return np.frombuffer(values, np.uint8).reshape(shape)
