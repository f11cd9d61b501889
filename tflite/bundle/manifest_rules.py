"""Lists the rules for a manifest's keys, and the most that it may ask for."""

import math
import re
import reprlib
from collections.abc import Mapping
from typing import Any

from tflite.bundle.invalid_bundle import InvalidBundle
from tflite.format import files

# The most that a manifest may ask a reader for; no honest one comes near.
MAX_FILE_BYTES = files.MAX_MODEL_BYTES  # Of a file, and of all segments.
# Of the manifest and of the labels, each: fifty times what they take for a
# thousand classes, ten exits and a learned policy.
MAX_TEXT_BYTES = 2**23
MAX_SEGMENTS = 2**10
MAX_TENSORS = 2**10  # That a segment reads, or gives.
MAX_POINTS = 2**10
MAX_NAME = 2**12  # Characters; a converter joins names of tensors.
MAX_COUNT = 2**50  # So that sums over all segments are exact.
MAX_PIXELS = 2**26  # Times channels: 4,729 x 4,729 in colour.

# Data type of the image's tensor -> what stands for a black pixel.
ZERO_POINTS = {"int8": -128, "float32": 0}

# Values of `input.fit`; `docs/bundle.md` says what they mean.
RESAMPLINGS = ("bilinear_antialiased",)
CROPS = ("centre",)

_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}")


def _is_name(value: Any) -> bool:
    return type(value) is str and len(value) <= MAX_NAME


def _is_names(value: Any) -> bool:
    return (
        type(value) is list
        and len(value) <= MAX_TENSORS
        and all(map(_is_name, value))
    )


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_COUNT


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_FILE_BYTES


def _is_file(value: Any) -> bool:
    return type(value) is str and _FILE_NAME.fullmatch(value) is not None


def _is_shape(value: Any) -> bool:
    counts = type(value) is list and all(map(_is_count, value))
    return counts and len(value) == 3 and 0 < math.prod(value) <= MAX_PIXELS


_COUNT = (f"a count, at most {MAX_COUNT}", _is_count)
_NAMES = (
    f"a list of names: at most {MAX_TENSORS} of {MAX_NAME} characters",
    _is_names,
)
# Key -> (what its value must be, in words; the check).
MANIFEST = {
    "format_version": ("a number", lambda v: type(v) is int),
    "name": (f"a string of at most {MAX_NAME} characters", _is_name),
    "labels": ("an object", lambda v: type(v) is dict),
    "input": ("an object", lambda v: type(v) is dict),
    "segments": (
        f"a list of at most {MAX_SEGMENTS}",
        lambda v: type(v) is list and len(v) <= MAX_SEGMENTS,
    ),
    "policy": ("an object", lambda v: type(v) is dict),
    "provenance": ("an object", lambda v: type(v) is dict),
}
MANIFEST_OF_VERSION_1 = {**MANIFEST, "labels": ("a plain file name", _is_file)}
MANIFEST_OPTIONS = {
    "operating_points": (
        f"an object of at most {MAX_POINTS}",
        lambda v: type(v) is dict and len(v) <= MAX_POINTS,
    ),
    "calibration": ("an object", lambda v: type(v) is dict),
}
INPUT_OF_VERSION_1 = {
    "shape": ("[height, width, channels]", _is_shape),
    "dtype": (f"one of {list(ZERO_POINTS)}", lambda v: v in list(ZERO_POINTS)),
    "scale": ("a number", lambda v: type(v) is float),
    "zero_point": ("an integer", lambda v: type(v) is int),
}
INPUT = {
    **INPUT_OF_VERSION_1,
    "fit": ("an object", lambda v: type(v) is dict),
}
FIT = {
    "stored_size": _COUNT,
    "resampling": (f"one of {list(RESAMPLINGS)}", lambda v: v in RESAMPLINGS),
    "crop": (f"one of {list(CROPS)}", lambda v: v in CROPS),
}
CONTENT = {
    "file": ("a plain file name", _is_file),
    "sha256": (
        "64 hexadecimal digits",
        lambda v: type(v) is str and re.fullmatch("[0-9a-f]{64}", v),
    ),
    "bytes": (f"a count, at most {MAX_FILE_BYTES}", _is_size),
}
SEGMENT = {
    **CONTENT,
    "inputs": _NAMES,
    "outputs": _NAMES,
    "exit": ("a count or null", lambda v: v is None or _is_count(v)),
    "madds": _COUNT,
    "params": _COUNT,
}
SEGMENT_OPTIONS = {
    "gate": ("a name", _is_name),
    "bypass": ("true, or no key", lambda v: v is True),
    "place": ('"server", or no key', lambda v: v == "server"),
}


def expect(
    where: str, value: Any, rules: Mapping, options: Mapping | None = None
) -> None:
    """Checks an object of a manifest.

    Args:
        where: Name of the object in an error.
        value: The object, which may be anything.
        rules: One of the tables above: keys that it must have.
        options: One of the tables above: keys that it may have.

    Raises:
        InvalidBundle: if a key is missing or unknown, or a value is not what
            its rule says.
    """
    options = options or {}
    keys = set(value) if type(value) is dict else set()
    if not set(rules) <= keys <= {*rules, *options}:
        may = f", and may have {sorted(options)}" if options else ""
        received = sorted(value) if type(value) is dict else value
        raise InvalidBundle(
            f"`{where}` must have the keys {sorted(rules)}{may}. "
            f"Received: {shown(received)}"
        )
    for key, (rule, holds) in {**rules, **options}.items():
        if key in keys and not holds(value[key]):
            raise InvalidBundle(
                f"`{where}.{key}` must be {rule}. Received: {shown(value[key])}"
            )


def shown(value: Any) -> str:
    """Returns the beginning of a value, which may have megabytes."""
    return reprlib.repr(value)
