"""Reads TFRecord files of tf.train.Examples that exist already.

They may be those of TensorFlow Datasets (`image="image"`, `label="label"`), of
ImageNet's old converter (the defaults), or prepared data sets of our own
(`label="image/label"`, `key="image/key"`). Compressed files are refused:
images cannot be read from them at random.
"""

import dataclasses
import functools
import glob
import itertools
import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from apache_beam.io.filesystems import FileSystems

from pipeline.data import foreign_records, splits
from pipeline.data.image import BadImage
from pipeline.sources import (
    classes,
    file_names,
    open_files,
    split_names,
    tree,
)
from pipeline.sources.item import Found, Item
from pipeline.storage import (
    beam_files,
    example,
    fingerprint,
    tfrecord_file,
)
from pipeline.storage.written_name import original, written

# Such as "name-train.tfrecord-00000-of-00004" or "test-00000-of-00004".
_SHARD = re.compile(
    rf"(?:.*-)?({'|'.join(splits.SPLITS)})(?:\.\w+)?-\d+-of-\d+(?:[-.].*)?"
)
_GZIP = b"\x1f\x8b"
_MAX_NAMES = 8 << 20  # Bytes of a file of class names.
_SAMPLE = 100  # Records from which the number of all is estimated.


@dataclasses.dataclass(frozen=True)
class TFRecord:
    """Reads records; a key is a feature, or "file:number of the record".

    Attributes:
        pattern: Names of the files, local or on an object store, with `*`,
            `?` and `[...]`.
        image: Feature with a JPEG or PNG file, or with pixels.
        label: Feature with the class: its number, or its name.
        classes: Class names in the order of their labels, or how many there
            are, to name them by number. Needed unless there is a file of them.
        labels_file: File with a class name per line, local or on an object
            store. By default TensorFlow Datasets' "<label>.labels.txt" beside
            the records.
        key: Feature with a text that no other record has. "" for none.
        split: Feature with the split's name, in any usual spelling. "" to take
            it from names of files and their directories, such as
            "name-test.tfrecord-00000-of-00001", "val.tfrecord" or
            "test/0.tfrecord"; other files are divided by hash. So are records
            of the split "train".
        splits: Splits, besides "train", that the feature `split` names.
        raw: Whether `image` holds pixels, uint8, row by row.
        height: Feature with the height of pixels.
        width: Feature with their width.
    """

    pattern: str
    image: str = "image/encoded"
    label: str = "image/class/label"
    classes: Sequence[str] | int = ()
    labels_file: str = ""
    key: str = ""
    split: str = ""
    splits: Sequence[str] = ("test",)
    raw: bool = False
    height: str = "image/height"
    width: str = "image/width"

    def __post_init__(self) -> None:
        if unknown := set(self.splits) - set(splits.SPLITS[1:]):
            raise ValueError(
                f"`splits` must be some of {', '.join(splits.SPLITS[1:])}. "
                f"Received: {', '.join(sorted(unknown))}"
            )
        if self.classes and self.labels_file:
            raise ValueError(
                "`classes` must be empty when `labels_file` is given. "
                f"Received: {self.classes!r}, {self.labels_file!r}"
            )
        pattern = tree.absolute(self.pattern)
        object.__setattr__(self, "pattern", pattern)
        names = self.classes
        if isinstance(names, int):
            names = [str(number) for number in range(names)]
        object.__setattr__(self, "classes", classes.checked(names))
        object.__setattr__(self, "splits", tuple(self.splits))
        if self.labels_file:
            labels_file = tree.absolute(self.labels_file)
            object.__setattr__(self, "labels_file", labels_file)

    def find(self) -> Found:
        """Lists the files, a piece each, and reads the first records of one.

        Raises:
            ValueError: There are no files, they are no TFRecord files or are
                compressed, have other features, or the classes are not named.
        """
        files = self._files()
        if self.split:
            published = set(self.splits)
        else:
            published = {self._split_of(path) for path in files}
        images, divided = self._estimate(files)
        return Found(
            labels=self._labels(),
            pieces=tuple(map(written, files)),  # Beam's coders take no other.
            images=images,
            splits=tuple(s for s in splits.SPLITS[1:] if s in published),
            divided=divided,
        )

    def paths(self) -> tuple[str, ...]:
        """Returns the files that match, and the file of the labels."""
        return (*self._files(), *filter(None, [self.labels_file]))

    def items(self, piece: str) -> Iterator[Item]:
        """Yields the records of a file.

        A record whose length is damaged hides the rest of its file: the rest is
        one item, with a reason that says so.

        Raises:
            ValueError: The file is compressed.
        """
        path = original(piece)
        name = path[len(self._root()) + 1 :]
        if file_names.is_skipped(name):
            yield Item(written(name), -1, "", None, file_names.SKIPPED)
            return
        labels = {label: number for number, label in enumerate(self._labels())}
        for index, (offset, data, reason) in enumerate(
            foreign_records.find(path)
        ):
            item = Item(written(f"{name}:{index}"), -1, "", None, reason)
            if reason and not offset:
                _refuse_compressed(path)
            if not reason:
                item = self._item(data, item.key, labels, self._split_of(path))
            if not item.reason:
                item = item._replace(location=f"{offset}:{piece}")
            yield item

    def load(self, location: str) -> np.ndarray | bytes:
        """Returns the image in a record: pixels, or the bytes of a file."""
        offset, _, piece = location.partition(":")
        try:
            with (
                tree.set_aside(),
                open_files.borrow(original(piece)) as file,
            ):
                data = tfrecord_file.read_at(
                    file, int(offset), foreign_records.MAX_RECORD
                )
            features = example.features(data)
        except ValueError as error:  # Such as tfrecord.Damaged.
            raise BadImage(str(error)) from error
        content = _one(features, self.image)
        if not isinstance(content, bytes):
            raise BadImage(f"not one value of bytes in {self.image!r}")
        return self._pixels(features, content) if self.raw else content

    def state(self) -> str:
        """Returns a hash of the files, by size and time, and the options."""
        root = self._root()
        names = [path[len(root) + 1 :] for path in self._files()]
        options = dataclasses.asdict(self) | {"pattern": "", "labels_file": ""}
        return fingerprint.of(
            tree.state_of(root, names), self._labels(), options
        )

    def _item(
        self, data: bytes, key: str, labels: Mapping[str, int], split: str
    ) -> Item:
        """Returns the item of a record, without its location.

        Args:
            data: The record.
            key: Its key, unless a feature holds one.
            labels: Numbers of the classes by name.
            split: Split that the name of the file says.
        """
        try:
            features = example.features(data)
        except ValueError as error:
            return Item(key, -1, "", None, str(error))
        label = _one(features, self.label)
        if isinstance(label, int):
            number = label if 0 <= label < len(labels) else -1
        else:
            label = _text(label)
            number = labels.get(label, -1)
        published = splits.SPLITS[1:]
        if self.split:
            split = _text(_one(features, self.split))
            split = split_names.of(split) or split
            published = self.splits
        if self.key and not (named := _text(_one(features, self.key))):
            reason = f"not one text in {self.key!r}"
        elif not isinstance(_one(features, self.image), bytes):
            reason = f"not one value of bytes in {self.image!r}"
        elif label == "":
            reason = f"not one integer or text in {self.label!r}"
        elif number < 0:
            reason = f"unknown class {label!r}"
        elif split not in ("", "train", *published):
            reason = f"unknown split {split!r}"
        else:
            chosen = split if split in published else None
            return Item(named if self.key else key, number, "", chosen)
        return Item(key, -1, "", None, reason)

    def _pixels(self, features: Mapping, content: bytes) -> np.ndarray:
        height, width = (
            _one(features, name) for name in (self.height, self.width)
        )
        if not all(isinstance(s, int) and s > 0 for s in (height, width)):
            raise BadImage(f"no size in {self.height!r} and {self.width!r}")
        channels, rest = divmod(len(content), height * width)
        if rest or channels not in (1, 3):
            raise BadImage(
                f"{len(content)} bytes are not {height} x {width} pixels, "
                "grey or RGB"
            )
        pixels = np.frombuffer(content, np.uint8)
        return pixels.reshape(height, width, channels)

    def _root(self) -> str:
        """Returns the directory before the first wildcard."""
        return re.split(r"[*?[]", self.pattern)[0].rpartition("/")[0]

    def _files(self) -> dict[str, int]:
        """Returns the sizes of the files by their paths, in order.

        Raises:
            ValueError: There are none.
        """
        if beam_files.is_local(self.pattern):
            # What is no file, such as a dangling link, becomes an item.
            sizes = {
                path: int(tree.version(path).partition(" ")[0] or 0)
                for path in glob.glob(self.pattern)
                if not os.path.isdir(path)
            }
        else:
            found = FileSystems.match([self.pattern])[0].metadata_list
            sizes = {file.path: file.size_in_bytes for file in found}
        if not sizes:
            raise ValueError(
                "`pattern` must match at least one file. "
                f"Received: pattern={self.pattern!r}"
            )
        return dict(sorted(sizes.items()))

    def _labels(self) -> tuple[str, ...]:
        """Returns the class names that are given or found.

        Raises:
            ValueError: There are none, or some are equal.
        """
        if self.classes:
            return self.classes
        beside = tree.join(self._root(), f"{self.label}.labels.txt")
        path = self.labels_file or beside
        if not tree.version(path):
            raise ValueError(
                "`classes` must be given, or `labels_file` be an existing "
                f"file. Received: {path!r}, which is not there"
            )
        return _names(path, tree.version(path))

    def _split_of(self, path: str) -> str:
        """Returns the split in the name of a file, or ""."""
        match = _SHARD.fullmatch(posixpath.basename(path))
        below = path[len(self._root()) + 1 :]
        return match[1] if match else split_names.within(below)

    def _estimate(self, files: Mapping[str, int]) -> tuple[int, int]:
        """Returns about how many records there are, from some in one file.

        The second number is of those that are divided by hash.

        Raises:
            ValueError: They lack a feature, or no file begins with records.
        """
        problem = "all are empty"
        below = len(self._root()) + 1
        files = {
            path: size
            for path, size in files.items()
            if not file_names.is_skipped(path[below:])
        }
        for path in filter(files.get, files):
            sizes, features = [], None
            # One at a time: each may be as large as an image.
            for _, data, reason in itertools.islice(
                foreign_records.find(path), _SAMPLE
            ):
                try:
                    if reason:
                        raise ValueError(reason)
                    features = features or example.features(data)
                    sizes.append(len(data))
                except ValueError as error:
                    problem = f"{path}: {error}"
            if features:
                break
            _refuse_compressed(path)
        else:
            raise ValueError(
                "`pattern` must match TFRecord files with records. "
                f"Received: pattern={self.pattern!r}, {problem}"
            )
        for option in ("image", "label", "key", "split"):
            name = getattr(self, option)
            if name and name not in features:
                raise ValueError(
                    f"`{option}` must be a feature of the records: "
                    f"{', '.join(sorted(features))}. "
                    f"Received: {option}={name!r}"
                )
        frame = tfrecord_file.HEADER + tfrecord_file.FOOTER
        mean = sum(sizes) / len(sizes) + frame
        shared = [
            size
            for path, size in files.items()
            if self.split or self._split_of(path) in ("", "train")
        ]
        return tuple(
            max(1, round(sum(sizes) / mean))
            for sizes in (files.values(), shared)
        )


def _refuse_compressed(path: str) -> None:
    """Raises ValueError if a file is compressed."""
    try:
        with beam_files.open(path) as file:
            compressed = file.read(len(_GZIP)) == _GZIP
    except Exception as error:
        if beam_files.fault(error):
            return  # Whoever reads the records says so.
        raise
    if compressed:
        raise ValueError(
            "`pattern` must match uncompressed files; decompress them. "
            f"Received: {path}, which is compressed with gzip"
        )


@functools.lru_cache(maxsize=8)
def _names(path: str, version: str) -> tuple[str, ...]:
    """Returns the lines of a file.

    Raises:
        ValueError: They are no names, or it cannot be read.
    """
    try:
        text = beam_files.read(path, _MAX_NAMES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            "`labels_file` must be a file in UTF-8 with a class name per line. "
            f"Received: {path!r}: {error}"
        ) from error
    lines = (line.removesuffix("\r") for line in text.split("\n"))
    return classes.checked([line for line in lines if line])


def _one(features: Mapping, name: str) -> int | bytes | None:
    """Returns the value of a feature, if it has just one."""
    if name not in features:
        return None
    feature = features[name]
    texts, numbers = feature.bytes_list.value, feature.int64_list.value
    if len(texts) + len(numbers) != 1:
        return None
    return texts[0] if texts else numbers[0]


def _text(value: object) -> str:
    """Returns bytes as a text, and "" for anything else."""
    try:
        return value.decode() if isinstance(value, bytes) else ""
    except UnicodeDecodeError:
        return ""
