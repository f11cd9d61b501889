import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.storage.written_name import original, written


@pytest.mark.parametrize(
    "name", ["", "a/ä 1.jpg", "100%.jpg", "a\nb", "%FF", "a\\xe9"]
)
def test_a_name_in_utf8_stays(name):
    assert written(name) == original(name) == name


def test_other_bytes_are_written_out():
    name = os.fsdecode("/tmp/50%/ä/caf".encode() + b"\xe9.jpg")
    assert written(name) == "bytes:/tmp/50%25/ä/caf%E9.jpg"


@given(st.lists(st.binary(max_size=6)))
def test_a_name_comes_back_and_no_two_are_alike(parts):
    names = {os.fsdecode(part) for part in [*parts, b"bytes:", b"bytes:%"]}
    texts = {written(name) for name in names}
    assert {original(text) for text in texts} == names
    assert len(texts) == len(names)
    for text in texts:
        text.encode()
