"""Reads CIFAR-10 and CIFAR-100 as they are published, binary or for Python.

A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
A binary record is one label (CIFAR-10) or a coarse and a fine one (CIFAR-100),
a byte each, then 3,072 bytes: the red, green and blue planes of 32 x 32. A
Python batch is a pickled dict with those bytes as an array.
"""

import dataclasses
import functools
import sys
from collections.abc import Iterator, Mapping

import numpy as np

from pipeline.data.image import BadImage
from pipeline.sources import cifar_pickle, classes, open_files, tree
from pipeline.sources.item import Found, Item
from pipeline.storage import beam_files, fingerprint

_PIXELS = 3 * 32 * 32
_PIECE = 10_000  # Records.
_MAX_NAMES = 1 << 20  # Bytes of a file of names.


@dataclasses.dataclass(frozen=True)
class _Labels:
    """Describes one way to label the images of a layout.

    Attributes:
        count: Number of classes.
        at: Place of the label in a binary record, or its key in a batch.
        file: Name of the file with the class names.
        key: Key of the class names in a pickled file.
    """

    count: int
    at: int | bytes
    file: str
    key: bytes = b""


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Describes one way in which the data is published.

    Attributes:
        train: Names of the files with training images.
        test: Name of the file with test images.
        fine: The labels.
        coarse: Coarser labels, if there are any.
        head: Bytes before the pixels of a binary record; 0 for pickles.
    """

    train: tuple[str, ...]
    test: str
    fine: _Labels
    coarse: _Labels | None
    head: int


_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
_LAYOUTS = {
    "cifar-10-batches-bin": _Layout(
        train=tuple(f"{name}.bin" for name in _BATCHES),
        test="test_batch.bin",
        fine=_Labels(10, 0, "batches.meta.txt"),
        coarse=None,
        head=1,
    ),
    "cifar-10-batches-py": _Layout(
        train=_BATCHES,
        test="test_batch",
        fine=_Labels(10, b"labels", "batches.meta", b"label_names"),
        coarse=None,
        head=0,
    ),
    "cifar-100-binary": _Layout(
        train=("train.bin",),
        test="test.bin",
        fine=_Labels(100, 1, "fine_label_names.txt"),
        coarse=_Labels(20, 0, "coarse_label_names.txt"),
        head=2,
    ),
    "cifar-100-python": _Layout(
        train=("train",),
        test="test",
        fine=_Labels(100, b"fine_labels", "meta", b"fine_label_names"),
        coarse=_Labels(20, b"coarse_labels", "meta", b"coarse_label_names"),
        head=0,
    ),
}
# No two have a file of the same name.
_LAYOUT_OF = {
    name: layout
    for layout in _LAYOUTS.values()
    for name in (*layout.train, layout.test)
}


@dataclasses.dataclass(frozen=True)
class Cifar:
    """Reads a published directory; keys are "file/number", as "test/00042".

    The keys are the same in both layouts. The test images stay the test split.

    Attributes:
        path: The directory as it was extracted, local or on an object store.
            Its name does not matter.
        coarse: Whether to label CIFAR-100 by its 20 superclasses.
    """

    path: str
    coarse: bool = False

    def __post_init__(self) -> None:
        path = tree.absolute(self.path)
        object.__setattr__(self, "path", path)

    def find(self) -> Found:
        """Finds out which layout the directory has; a piece is a record range.

        Raises:
            ValueError: It is none, lacks a file, or has no coarse labels.
        """
        layout = self._layout()
        files = (*layout.train, layout.test)
        if absent := [name for name in files if not self._version(name)]:
            raise ValueError(
                "`path` must hold all files of CIFAR. "
                f"Received: path={self.path!r} without {', '.join(absent)}"
            )
        pieces, images, divided = [], 0, 0
        for name in files:
            size = int(self._version(name).split()[0])
            records = -(-size // (layout.head + _PIXELS))
            images += records
            divided += 0 if name == layout.test else records
            # A pickle is read whole, and how many it holds is not known.
            step = _PIECE if layout.head else sys.maxsize
            starts = range(0, max(1, records), step)
            pieces += [f"{name}:{start}:{start + step}" for start in starts]
        names = self._names(self._labels(layout))
        return Found(names, tuple(pieces), images, ("test",), divided)

    def paths(self) -> tuple[str, ...]:
        """Returns the directory."""
        return (self.path,)

    def items(self, piece: str) -> Iterator[Item]:
        """Yields the images of a range of records.

        Args:
            piece: "file:start:stop".

        Raises:
            ValueError: A batch for Python is damaged: all of it is lost.
        """
        name, start, stop = piece.split(":")
        layout = _LAYOUT_OF[name]
        labels = self._labels(layout)
        split = "test" if name == layout.test else None
        listed = self._binary if layout.head else self._pickled
        for index, label in listed(name, labels.at, int(start), int(stop)):
            key = f"{name.removesuffix('.bin')}/{index:05d}"
            if label is None:
                yield Item(key, -1, "", None, "truncated record")
            elif not 0 <= label < labels.count:
                yield Item(key, -1, "", None, f"unknown class {label}")
            else:
                yield Item(key, label, f"{name}:{index}", split)

    def load(self, location: str) -> np.ndarray:
        """Returns an image, uint8 [32, 32, 3]."""
        name, index = location.split(":")
        path = tree.join(self.path, name)
        if head := _LAYOUT_OF[name].head:
            with tree.set_aside(), open_files.borrow(path) as file:
                file.seek(int(index) * (head + _PIXELS) + head)
                planes = np.frombuffer(file.read(_PIXELS), np.uint8)
        else:
            batch = _batch(path, self._version(name))
            planes = batch[b"data"][int(index) :][:1].reshape(-1)
        if planes.size != _PIXELS:
            raise BadImage("truncated record")
        planes = planes.reshape(3, 32, 32)
        return np.ascontiguousarray(planes.transpose(1, 2, 0))

    def state(self) -> str:
        """Returns a hash of the files, by size and time, and the options."""
        layout = self._layout()
        labels = self._labels(layout).file
        names = (*layout.train, layout.test, labels)
        return fingerprint.of(tree.state_of(self.path, names), self.coarse)

    def _version(self, name: str) -> str:
        return tree.version(tree.join(self.path, name))

    def _layout(self) -> _Layout:
        for layout in _LAYOUTS.values():
            if self._version(layout.test):
                return layout
        raise ValueError(
            f"`path` must be a directory such as {', '.join(_LAYOUTS)}. "
            f"Received: path={self.path!r}"
        )

    def _labels(self, layout: _Layout) -> _Labels:
        if self.coarse and not layout.coarse:
            raise ValueError(
                "`coarse` must be False for CIFAR-10. Received: coarse=True"
            )
        return layout.coarse if self.coarse else layout.fine

    def _names(self, labels: _Labels) -> tuple[str, ...]:
        """Returns the names of the classes; their numbers if there are none."""
        if not self._version(labels.file):
            return tuple(str(number) for number in range(labels.count))
        path = tree.join(self.path, labels.file)
        if labels.key:
            names = cifar_pickle.read(path).get(labels.key, ())
        else:
            names = beam_files.read(path, _MAX_NAMES).split(b"\n")
        try:
            names = [_text(name) for name in names if name.strip()]
        except (AttributeError, TypeError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{labels.file} must hold names in UTF-8. Received: {error}"
            ) from error
        if len(names) != labels.count:
            raise ValueError(
                f"{labels.file} must name {labels.count} classes. "
                f"Received: {len(names)}"
            )
        return classes.checked(names)

    def _binary(
        self, name: str, at: int, start: int, stop: int
    ) -> Iterator[tuple[int, int | None]]:
        """Yields numbers and labels of records, None for one cut short."""
        size = _LAYOUT_OF[name].head + _PIXELS
        with beam_files.open(tree.join(self.path, name)) as file:
            file.seek(start * size)
            for index in range(start, stop):
                record = file.read(size)
                if not record:
                    return
                yield index, record[at] if len(record) == size else None

    def _pickled(
        self, name: str, at: bytes, start: int, stop: int
    ) -> Iterator[tuple[int, int]]:
        """Yields numbers and labels of images."""
        batch = _batch(tree.join(self.path, name), self._version(name))
        labels = batch.get(at)
        if (
            not isinstance(labels, list)
            or len(labels) != len(batch[b"data"])
            or not all(isinstance(label, int) for label in labels)
        ):
            kind = type(labels).__name__ if labels is not None else "nothing"
            raise ValueError(
                f"{name} must be a batch of CIFAR with a list of labels, an "
                "integer for each image; take the files as they are published. "
                f"Received: {at.decode()!r} with {kind}"
                + (f" of {len(labels)}" if isinstance(labels, list) else "")
            )
        yield from list(enumerate(labels))[start:stop]


# All batches: images are asked for in any order. Those of CIFAR-10 or
# CIFAR-100 take 184 MB; the binary layout is read from disk instead.
@functools.lru_cache(maxsize=6)
def _batch(path: str, version: str) -> Mapping[bytes, object]:
    """Returns the dict of a batch for Python, its data uint8 [N, 3072]."""
    batch = cifar_pickle.read(path)
    data = batch.get(b"data")
    if (
        not isinstance(data, np.ndarray)
        or data.dtype != np.uint8
        or data.shape[1:] != (_PIXELS,)
    ):
        raise ValueError(
            f"{path} must be a batch of CIFAR, whose 'data' are uint8 [N, "
            f"{_PIXELS}]; take the files as they are published. Received: "
            f"{_described(data)}"
        )
    return batch


def _text(name: bytes | str) -> str:
    name = name.strip()
    return name if isinstance(name, str) else name.decode()


def _described(data: object) -> str:
    if isinstance(data, np.ndarray):
        return f"{data.dtype} {list(data.shape)}"
    return "no 'data'" if data is None else type(data).__name__
