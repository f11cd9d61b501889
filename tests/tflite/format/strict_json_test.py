import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tflite.format import strict_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_json_is_read_as_it_is_written(value):
    assert strict_json.decode(json.dumps(value)) == value
    assert strict_json.decode(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"NaN",
        b"[-Infinity]",
        b"[1e999]",
        b"1" * 10_000,
        b"[9007199254740993]",
        b"-9007199254740993",
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "\\u0061": 2}',
        b'[{"b": {"a": 1, "b": 2, "a": 3}}]',
        b"\xff",
        "\ufeff{}".encode(),
        "{}".encode("utf-16"),
        b"[" * 65 + b"]" * 65,
        b'{"a":' * 1_000_000,
        b"[" * 900 + b"]" * 900,
        b"{'a': 1}",
        b"{} {}",
    ],
)
def test_anything_else_is_refused(data):
    with pytest.raises(strict_json.InvalidJSON) as error:
        strict_json.decode(data)
    assert len(str(error.value)) < 300


def test_64_levels_are_not_too_deep():
    assert strict_json.decode("[" * 64 + "1" + "]" * 64)
