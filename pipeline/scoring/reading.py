"""Reads the inputs of `score`: image files, and TFRecords of tf.train.Example.

A file whose name ends like one of `pipeline.sources.file_names.IMAGES`, or that
begins like an image, is one; its path below the input is its key. Any other
file is a TFRecord. Of the features in `pipeline.data.record`, an Example needs
image/encoded, or image/raw with image/height, image/width and image/channels.
One without image/key is named by its file and its offset in it.

Every file or record is read as an image or as a `Rejected`; none is left out.
A path is carried, and is a key, as `pipeline.storage.written_name` writes it.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

import apache_beam as beam
import numpy as np

from pipeline.data import file_kind, foreign_records, image, photograph
from pipeline.data.image import BadImage
from pipeline.scoring import bundle_handler
from pipeline.scoring.bundle_handler import Rejected
from pipeline.sources import file_names, tree
from pipeline.storage import beam_files, example, tfrecord_file
from pipeline.storage.written_name import original, written

UNLABELLED = -1

# A worker reads a large file in pieces of about this size, in bytes.
PIECE = 1 << 25

# Of the records in a piece that are rejected so many are listed. A piece of
# empty ones has two million, which would fill the memory.
LISTED = 10_000

# Path, first byte, end, why it cannot be read or "", a name of its own.
Piece = tuple[str, int, int, str, str]
# Key, label and its name; pixels.
Named = tuple[tuple[str, int, str], np.ndarray | Rejected]

# Bytes from which the kind of a file is told.
_BEGIN = 64


def pieces(path: str, size: int, fault: str = "") -> Iterator[Piece]:
    """Yields parts of a file that different workers can read.

    The lengths of records say where one can be cut: of a large TFRecord only
    those are read.

    Args:
        path: Path of the file.
        size: Bytes of the file.
        fault: Reason why it cannot be read, if that is known.
    """
    if fault or size <= PIECE or file_names.is_image(path):
        yield _piece(path, 0, size, fault)
        return
    start = offset = 0
    try:
        with beam_files.open(original(path)) as file:
            while offset < size:
                file.seek(offset)
                offset += tfrecord_file.whole(file.read(tfrecord_file.HEADER))
                if offset - start >= PIECE and offset < size:
                    yield _piece(path, start, offset)
                    start = offset
    except tfrecord_file.Damaged:  # Who reads the last piece finds it.
        pass
    except Exception as error:
        if not beam_files.fault(error):
            raise
    yield _piece(path, start, size)


class Read(beam.DoFn):
    """Reads the images of a piece, as the bundle takes them.

    An image file, and an encoded image in a record, is fitted as
    `keras-dynamic classify` does: to the size that training images were
    stored in, then cropped at the centre. Raw pixels of that size are cropped
    only, those of the input's taken as they are; of other sizes they are
    refused.
    """

    def __init__(self, bundle: str, root: str = "", folder_labels: bool = True):
        """Names the bundle; a worker reads its facts.

        Args:
            bundle: Directory of a bundle, or its bundle.zip; here or in an
                object store.
            root: Directory, with a slash at its end, that keys are relative
                to; "" for whole paths.
            folder_labels: Whether an image file in a directory with the name
                of a class, below `root`, has it as its label.
        """
        self._bundle = bundle
        self._root = root
        self._folder_labels = folder_labels

    def setup(self) -> None:
        """Reads from the bundle how an image enters it."""
        described = bundle_handler.described(self._bundle)
        self._input, self._labels = described.input, described.labels

    def process(self, element: Piece) -> Iterator[Named]:
        """Yields ((key, label, its name), pixels or `Rejected`)."""
        name, start, stop, fault, _ = element
        path = original(name)
        key = path.removeprefix(self._root)
        if fault:
            yield self._named(written(key)), Rejected(fault)
            return
        is_image, reason = file_names.is_image(path), ""
        if not is_image and start == 0:
            is_image, reason = _looks(path)
        if is_image:
            label = self._label_of(key)
            pixels = self._fitted(lambda: tree.read(path))
            yield self._named(written(key), label), pixels
        elif reason:
            yield self._named(written(key)), Rejected(reason)
        else:
            yield from _summed_up(
                self._of_record(written(f"{key}@{found.offset}"), found)
                for found in foreign_records.find(path, start, stop)
            )

    def _named(self, key: str, label: int = UNLABELLED) -> tuple[str, int, str]:
        return key, label, self._labels[label] if label >= 0 else ""

    def _label_of(self, key: str) -> int:
        """Returns the class of the first directory that is named like one."""
        if self._folder_labels:
            for part in key.split("/")[:-1]:
                if part in self._labels:
                    return self._labels.index(part)
        return UNLABELLED

    def _of_record(self, name: str, found: foreign_records.Found) -> Named:
        try:
            if found.reason:
                raise ValueError(found.reason)
            features = example.features(found.data)
        except ValueError as error:
            return self._named(name), Rejected(str(error))
        key = _first(features, "image/key", "bytes_list", b"")
        key = written(key.decode("utf-8", "surrogateescape")) or name
        label = _first(features, "image/label", "int64_list", UNLABELLED)
        if not UNLABELLED <= label < len(self._labels):
            return self._named(key), Rejected(
                f"unknown class {label}, the bundle has {len(self._labels)}"
            )
        named = self._named(key, label)
        if encoded := _first(features, "image/encoded", "bytes_list", b""):
            return named, self._fitted(lambda: encoded)
        raw = _first(features, "image/raw", "bytes_list", b"")
        shape = [
            _first(features, f"image/{side}", "int64_list", 0)
            for side in ("height", "width", "channels")
        ]
        if min(shape) < 1 or math.prod(shape) != len(raw):
            return named, Rejected(
                "a record must have image/encoded, or image/raw of the size "
                "in image/height, image/width and image/channels. "
                f"Received: {len(raw)} bytes for {shape}"
            )
        pixels = np.frombuffer(raw, np.uint8).reshape(shape)
        wanted, stored = self._input.shape, self._input.fit.stored_size
        if pixels.shape[:2] == (stored, stored):
            pixels = image.centre(pixels, *wanted[:2])
        # Whatever has another size need not travel any further.
        return named, bundle_handler.refusal(pixels, wanted) or pixels

    def _fitted(self, load: Callable[[], bytes]) -> np.ndarray | Rejected:
        try:
            return photograph.pixels_for(load(), self._input)
        except BadImage as error:
            return Rejected(str(error))


def _summed_up(found: Iterable[Named]) -> Iterator[Named]:
    """Yields what was found; beyond `LISTED` rejected images, their number."""
    rejected, rest = 0, None
    for named in found:
        if isinstance(named[1], Rejected):
            rejected += 1
            if rejected > LISTED:
                rest = rest or named
                continue
        yield named
    if rest:
        name, (reason, _) = rest
        items = rejected - LISTED
        reason += f"; the first of {items} that are not listed"
        yield name, Rejected(reason, items)


def _piece(path: str, start: int, stop: int, fault: str = "") -> Piece:
    # What comes last decides which worker gets it.
    return path, start, stop, fault, f"{path}@{start}"


def _looks(path: str) -> tuple[bool, str]:
    """Returns whether a file is an image, and why it is no TFRecord either."""
    try:
        with beam_files.open(path) as file:
            begin = file.read(_BEGIN)
    except Exception as error:
        if beam_files.fault(error):
            return False, ""  # Whoever reads the records says so.
        raise
    try:
        tfrecord_file.whole(begin)
    except tfrecord_file.Damaged:
        hint = file_names.hint(path)
        if file_kind.hints(begin):
            hint = hint or file_kind.no_image(begin)
        return file_kind.may_be_image(begin), hint
    return False, ""


def _first(features: Mapping, name: str, kind: str, default):
    """Returns the first value of a feature, or `default` if it has none."""
    values = getattr(features[name], kind).value if name in features else ()
    return values[0] if values else default
