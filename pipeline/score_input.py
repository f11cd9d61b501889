"""What `score` reads: image files, and TFRecords of tf.train.Example.

A file whose name ends in .jpg, .jpeg or .png is an image; its path is its key,
it has no label. Any other file is a TFRecord. Of the features in
`pipeline.record`, an Example needs image/encoded, or image/raw with
image/height, image/width and image/channels. One without image/key is named by
its file and its offset in it.

Whatever is found is read as an image or as a `Rejected`; nothing is left out.
"""

import math
from collections.abc import Iterator, Mapping

import apache_beam as beam
import numpy as np

from pipeline import example, image, scoring, storage, tfrecord
from pipeline.scoring import Rejected

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png")
UNLABELLED = -1

# A worker reads a large file in pieces of about this size, in bytes.
PIECE = 1 << 25

Piece = tuple[str, int, int, str]  # Path, first byte, end; a name of its own.
Named = tuple[tuple[str, int], np.ndarray | Rejected]  # Key and label; pixels.


def pieces(path: str, size: int) -> Iterator[Piece]:
    """Yields parts of a file that different workers can read.

    The lengths of records say where one can be cut: of a large TFRecord only
    those are read.

    Args:
        path: Of the file.
        size: Its bytes.
    """
    if size <= PIECE or _is_image(path):
        yield _piece(path, 0, size)
        return
    start = offset = 0
    with storage.open(path) as file:
        while offset < size:
            file.seek(offset)
            try:
                offset += _whole(file.read(tfrecord.HEADER))
            except tfrecord.Damaged:  # Who reads the last piece finds it.
                break
            if offset - start >= PIECE and offset < size:
                yield _piece(path, start, offset)
                start = offset
    yield _piece(path, start, size)


class Read(beam.DoFn):
    """Reads the images of a piece, as the bundle takes them.

    An image file, and an encoded image in a record, is fitted as
    `keras-dynamic classify` does: to the size that training images were
    stored at, then cropped at the centre. Raw pixels of that size are cropped
    only. Those of another size stay as they are: the handler refuses them.
    """

    def __init__(self, bundle: str):
        """Names the bundle; a worker reads its facts.

        Args:
            bundle: As for `scoring.BundleModelHandler`.
        """
        self._bundle = bundle

    def setup(self) -> None:
        """Reads the size of the images from the bundle."""
        bundle = scoring.read(self._bundle)
        self._height, _, self._channels = bundle.input.shape
        self._stored = bundle.provenance.get("stored_size", self._height)

    def process(self, element: Piece) -> Iterator[Named]:
        """Yields ((key, label), pixels or `Rejected`)."""
        path, start, stop, _ = element
        if _is_image(path):
            yield (path, UNLABELLED), self._fitted(storage.read(path))
            return
        for name, data in _records(path, start, stop):
            if isinstance(data, Rejected):
                yield (name, UNLABELLED), data
            else:
                yield self._of_example(name, data)

    def _of_example(self, name: str, data: bytes) -> Named:
        try:
            features = example.features(data)
        except ValueError as error:
            return (name, UNLABELLED), Rejected(str(error))
        key = _first(features, "image/key", "bytes_list", b"").decode(
            errors="replace"
        )
        label = _first(features, "image/label", "int64_list", UNLABELLED)
        named = (key or name, label)
        if encoded := _first(features, "image/encoded", "bytes_list", b""):
            return named, self._fitted(encoded)
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
        stored = pixels.shape[:2] == (self._stored, self._stored)
        return named, self._cropped(pixels) if stored else pixels

    def _fitted(self, data: bytes) -> np.ndarray | Rejected:
        try:
            decoded = image.decode(data)
        except image.BadImage as error:
            return Rejected(str(error))
        return self._cropped(image.fit(decoded, self._stored, self._channels))

    def _cropped(self, pixels: np.ndarray) -> np.ndarray:
        start = (self._stored - self._height) // 2
        window = slice(start, start + self._height)
        return pixels[window, window]


def _piece(path: str, start: int, stop: int) -> Piece:
    # What comes last decides which worker gets it.
    return path, start, stop, f"{path}@{start}"


def _is_image(path: str) -> bool:
    return path.lower().endswith(IMAGE_EXTENSIONS)


def _records(
    path: str, start: int, stop: int
) -> Iterator[tuple[str, bytes | Rejected]]:
    """Yields the records between two offsets, each with a name.

    After a damaged length nothing can be found: what is left of the piece is
    one `Rejected`. Damaged data costs that record only.
    """
    with storage.open(path) as file:
        file.seek(start)
        while start < stop:
            name = f"{path}@{start}"
            try:
                size = _whole(file.read(tfrecord.HEADER))
                if start + size > stop:
                    raise tfrecord.Damaged("truncated record")
            except tfrecord.Damaged as error:
                yield name, Rejected(f"{error}; nothing after it can be read")
                return
            data = file.read(size - tfrecord.HEADER - tfrecord.FOOTER)
            footer = file.read(tfrecord.FOOTER)
            try:
                yield name, tfrecord.checked(data, footer)
            except tfrecord.Damaged as error:
                yield name, Rejected(str(error))
            start += size


def _whole(header: bytes) -> int:
    """Returns the bytes of a whole record.

    Raises:
        tfrecord.Damaged: It is no header of a record.
    """
    return tfrecord.HEADER + tfrecord.length(header) + tfrecord.FOOTER


def _first(features: Mapping, name: str, kind: str, default):
    """Returns the first value of a feature, or what stands for none."""
    values = getattr(features[name], kind).value if name in features else ()
    return values[0] if values else default
