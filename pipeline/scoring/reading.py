"""Reads the inputs of `score`: image files, and TFRecords of tf.train.Example.

A file whose name ends in .jpg, .jpeg or .png is an image; its path is its key,
it has no label. Any other file is a TFRecord. Of the features in
`pipeline.data.record`, an Example needs image/encoded, or image/raw with
image/height, image/width and image/channels. One without image/key is named by
its file and its offset in it.

Every file or record is read as an image or as a `Rejected`; none is left out.
A path is carried, and is a key, as `pipeline.storage.written_name` writes it.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

import apache_beam as beam
import numpy as np

from pipeline.data import foreign_records, image, photograph
from pipeline.data.image import BadImage
from pipeline.scoring import bundle_handler
from pipeline.scoring.bundle_handler import Rejected
from pipeline.sources import tree
from pipeline.storage import beam_files, example, tfrecord_file
from pipeline.storage.written_name import original, written

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png")
UNLABELLED = -1

# A worker reads a large file in pieces of about this size, in bytes.
PIECE = 1 << 25

# Of the records in a piece that are rejected so many are listed. A piece of
# empty ones has two million, which would fill the memory.
LISTED = 10_000

# Path, first byte, end, why it cannot be read or "", a name of its own.
Piece = tuple[str, int, int, str, str]
Named = tuple[tuple[str, int], np.ndarray | Rejected]  # Key and label; pixels.


def pieces(path: str, size: int, fault: str = "") -> Iterator[Piece]:
    """Yields parts of a file that different workers can read.

    The lengths of records say where one can be cut: of a large TFRecord only
    those are read.

    Args:
        path: Path of the file.
        size: Bytes of the file.
        fault: Reason why it cannot be read, if that is known.
    """
    if fault or size <= PIECE or _is_image(path):
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

    def __init__(self, bundle: str):
        """Names the bundle; a worker reads its facts.

        Args:
            bundle: Directory of a bundle, or its bundle.zip; here or in an
                object store.
        """
        self._bundle = bundle

    def setup(self) -> None:
        """Reads from the bundle how an image enters it."""
        self._input = bundle_handler.described(self._bundle).input

    def process(self, element: Piece) -> Iterator[Named]:
        """Yields ((key, label), pixels or `Rejected`)."""
        name, start, stop, fault, _ = element
        path = original(name)
        if fault:
            yield (name, UNLABELLED), Rejected(fault)
        elif _is_image(path):
            yield (name, UNLABELLED), self._fitted(lambda: tree.read(path))
        else:
            yield from _summed_up(
                self._of_record(written(f"{path}@{found.offset}"), found)
                for found in foreign_records.find(path, start, stop)
            )

    def _of_record(self, name: str, found: foreign_records.Found) -> Named:
        try:
            if found.reason:
                raise ValueError(found.reason)
            features = example.features(found.data)
        except ValueError as error:
            return (name, UNLABELLED), Rejected(str(error))
        key = _first(features, "image/key", "bytes_list", b"")
        key = written(key.decode("utf-8", "surrogateescape"))
        label = _first(features, "image/label", "int64_list", UNLABELLED)
        named = (key or name, label)
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


def _is_image(path: str) -> bool:
    return path.lower().endswith(IMAGE_EXTENSIONS)


def _first(features: Mapping, name: str, kind: str, default):
    """Returns the first value of a feature, or `default` if it has none."""
    values = getattr(features[name], kind).value if name in features else ()
    return values[0] if values else default
