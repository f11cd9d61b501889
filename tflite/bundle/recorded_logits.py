"""Writes and reads calibration.npy, to which a policy can be fitted again.

The file holds the logits of all exits on images that neither training nor
testing saw, as one array of records that `numpy.load` opens, an image each:

    label     int32
    logits    [K, C], int8 or float32, as the segments give them
    madds     [K], int64, only with gates: multiply-adds up to each exit

A reader trusts none of it: a file is accepted if its header is, but for spaces
at the end, the one that belongs to so many bytes of such records.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from tflite.bundle import directory
from tflite.bundle.invalid_bundle import InvalidBundle

# Whoever fits a policy holds each number as a float64. 10,000 images, five
# exits and a thousand classes have 50 MB.
MAX_BYTES = 2**26

_MAGIC = b"\x93NUMPY\x01\x00"
# numpy wants the records to begin on a multiple of it.
_ALIGNMENT = 64
_LOGITS = ("|i1", "<f4")


@dataclass(frozen=True, eq=False)
class Recorded:
    """Holds the logits of a chain for N images whose classes are known.

    Attributes:
        labels: int32 [N], in [0, C).
        logits: int8 or float32 [K, N, C], shallow to deep, as the segments give
            them; `Harness.dequantize` gives the numbers they stand for.
        madds: Multiply-adds that the chain ran up to each exit, int64 [N, K].
            None without gates: then each image costs as much as the segments.
    """

    labels: np.ndarray
    logits: np.ndarray
    madds: np.ndarray | None = None


def encode(recorded: Recorded) -> bytes:
    """Returns the file's content, always the same for the same facts.

    Raises:
        ValueError: if a shape or type is not as `Recorded` says.
    """
    labels, logits = recorded.labels, recorded.logits
    exits, images, classes = logits.shape
    madds = recorded.madds
    gated = madds is not None
    if (
        logits.dtype.str not in _LOGITS
        or labels.shape != (images,)
        or (madds is not None and madds.shape != (images, exits))
    ):
        raise ValueError(
            "`recorded` must have labels [N], logits [K, N, C] of int8 or "
            "float32, and madds [N, K] or None. Received: labels "
            f"{labels.shape}, logits {logits.dtype} {logits.shape}, madds "
            f"{None if madds is None else madds.shape}"
        )
    fields = _fields(exits, classes, logits.dtype.str, gated)
    records = np.zeros(images, fields)
    records["label"] = labels
    records["logits"] = logits.transpose(1, 0, 2)
    if gated:
        records["madds"] = recorded.madds
    text = _text(fields, images)
    # Two bytes hold its length; a line feed ends it.
    padding = -(len(_MAGIC) + 2 + len(text) + 1) % _ALIGNMENT
    header = text + b" " * padding + b"\n"
    size = len(header).to_bytes(2, "little")
    return _MAGIC + size + header + records.tobytes()


def shortened(recorded: Recorded) -> Recorded:
    """Returns the first images, as many as `read` takes."""
    exits, images, classes = recorded.logits.shape
    fields = _fields(
        exits,
        classes,
        recorded.logits.dtype.str,
        recorded.madds is not None,
    )
    # The header has less than a kilobyte.
    most = (MAX_BYTES - 2**10) // np.dtype(fields).itemsize
    if images <= most:
        return recorded
    return dataclasses.replace(
        recorded,
        labels=recorded.labels[:most],
        logits=recorded.logits[:, :most],
        madds=None if recorded.madds is None else recorded.madds[:most],
    )


def decode(
    data: bytes, *, exits: int, classes: int, gated: bool = False
) -> Recorded:
    """Reads and checks a file's content.

    Args:
        data: The content.
        exits: Number of exits that there must be, K.
        classes: Number of classes that there must be, C.
        gated: Whether it must have multiply-adds.

    Raises:
        bundle.InvalidBundle: if it is not what `encode` writes for at least
            one image, or a value is out of bounds.
    """
    at = len(_MAGIC) + 2
    start = at + int.from_bytes(data[at - 2 : at], "little")
    for logits in _LOGITS:
        fields = _fields(exits, classes, logits, gated)
        size = np.dtype(fields).itemsize
        images, rest = divmod(len(data) - start, size)
        header = _text(fields, images)
        if (
            data.startswith(_MAGIC)
            and data[at:start].rstrip() == header
            and images > 0
            and rest == 0
        ):
            break
    else:
        raise InvalidBundle(
            f"`{directory.CALIBRATION}` must be what `encode` writes for "
            f"{exits} exits of {classes} classes, "
            f"with{'' if gated else 'out'} gates. "
            f"Received: {len(data)} bytes that begin with {data[:80]!r}"
        )
    records = np.frombuffer(data, fields, images, start)
    found = Recorded(
        labels=np.ascontiguousarray(records["label"]),
        logits=np.ascontiguousarray(records["logits"].transpose(1, 0, 2)),
        madds=np.ascontiguousarray(records["madds"]) if gated else None,
    )
    in_range = (found.labels >= 0) & (found.labels < classes)
    _check("label", found.labels, in_range, f"in [0, {classes})")
    _check("logits", found.logits, np.isfinite(found.logits), "finite")
    if found.madds is not None:
        # As a float it is still exact.
        exact = (found.madds >= 0) & (found.madds <= 2**53)
        _check("madds", found.madds, exact, "in [0, 2**53]")
    return found


def read(opened: directory.Bundle) -> Recorded:
    """Reads and checks the file of a bundle.

    Raises:
        bundle.InvalidBundle: if there is none, it is not the one that was
            written, or it has more than `MAX_BYTES`.
    """
    if opened.calibration is None:
        raise InvalidBundle(
            "`calibration` must be in the manifest: this bundle was made "
            "without, by a version before it or by hand; `keras-dynamic "
            "convert` makes one with it"
        )
    if opened.calibration.bytes > MAX_BYTES:
        raise InvalidBundle(
            f"`calibration.bytes` must be at most {MAX_BYTES}. "
            f"Received: {opened.calibration.bytes}"
        )
    return decode(
        opened.content(opened.calibration),
        exits=opened.policy.exits,
        classes=len(opened.labels),
        gated=opened.gated,
    )


def _fields(exits: int, classes: int, logits: str, gated: bool) -> list[tuple]:
    fields = [("label", "<i4"), ("logits", logits, (exits, classes))]
    return [*fields, ("madds", "<i8", (exits,))] if gated else fields


def _text(fields: list[tuple], images: int) -> bytes:
    """Returns the header of a .npy file, version 1.0, without its padding.

    It is written here, as numpy's own depends on its version.
    """
    return (
        f"{{'descr': {fields!r}, 'fortran_order': False, "
        f"'shape': ({images},), }}"
    ).encode()


def _check(name: str, values: np.ndarray, good: np.ndarray, rule: str) -> None:
    if not good.all():
        raise InvalidBundle(
            f"`{name}` of `{directory.CALIBRATION}` must be {rule}. "
            f"Received: {values[~good][0]}"
        )
