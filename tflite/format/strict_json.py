"""Reads JSON that somebody else wrote, without surprises.

Python's own reader takes more than JSON (NaN, Infinity), takes integers that no
float can hold, overlooks that a key is there twice and takes the last one, and
ends in a RecursionError where the nesting is deep. Other readers, such as
Android's, decide otherwise: what one of them checked another one would not see.
Standard library only.
"""

import json
import math
from typing import Any

MAX_DEPTH = 64
# What lies beyond is another number to readers that have floats only.
MAX_INTEGER = 2**53


class InvalidJSON(ValueError):
    """Says that bytes are not the JSON that everybody reads alike."""


def decode(data: bytes | str) -> Any:
    """Returns the value that a JSON text stands for.

    Args:
        data: UTF-8 without a byte order mark. How long it may be is for the
            caller to say: see `files.read`.

    Raises:
        InvalidJSON: if it is not JSON, has a key twice in one object, a number
            that no float can hold, an integer beyond `MAX_INTEGER`, or more
            than `MAX_DEPTH` levels.
    """
    try:
        text = data if isinstance(data, str) else data.decode()
        value = json.loads(
            text,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_exact,
            object_pairs_hook=_object,
        )
    except InvalidJSON:
        raise
    except RecursionError:
        raise _too_deep() from None
    # Not UTF-8, or an integer of thousands of digits, among others.
    except ValueError as error:
        raise InvalidJSON(str(error)) from error
    _check_depth(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InvalidJSON(
                    f"a key must be in an object once. Received: {key[:80]!r} "
                    "twice"
                )
            seen.add(key)
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise InvalidJSON(
            f"a number must fit into a float. Received: {digits[:80]}"
        )
    return number


def _exact(digits: str) -> int:
    # The sign, and as many digits as MAX_INTEGER has.
    if len(digits) > 17 or abs(number := int(digits)) > MAX_INTEGER:
        raise InvalidJSON(
            "an integer must be at most 2^53, so that every reader takes it "
            f"for the same number. Received: {digits[:80]}"
        )
    return number


def _no_constant(name: str) -> float:
    raise InvalidJSON(f"a number must be finite. Received: {name}")


def _check_depth(value: Any) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
    if level:
        raise _too_deep()


def _too_deep() -> InvalidJSON:
    return InvalidJSON(
        f"there must be at most {MAX_DEPTH} levels. Received: more"
    )
