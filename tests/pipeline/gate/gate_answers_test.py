import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gate import answers


@given(st.lists(st.booleans(), max_size=40))
def test_back_again(right):
    right = np.array(right, bool)
    found = answers.decode(answers.encode(right), len(right))
    assert found.dtype == bool
    np.testing.assert_array_equal(found, right)


def test_ten_thousand_take_1668_characters():
    assert len(answers.encode(np.ones(10_000, bool))) == 1668


def test_another_number_of_images():
    with pytest.raises(ValueError, match=r"hold 17 bits. Received: 16"):
        answers.decode(answers.encode(np.ones(16, bool)), 17)


def test_no_base64():
    with pytest.raises(ValueError, match="must be base64"):
        answers.decode("?", 8)
