import numpy as np
import pytest

from tflite.runtime.logits import Logits

DETAILS = {"quantization": (0.1234567, -7)}


def test_what_is_looked_up_is_what_is_computed():
    every = np.arange(-128, 128, dtype=np.int8)
    memory = every[None].copy()
    logits = Logits(memory, DETAILS)
    expected = 0.1234567 * (every.astype(np.float64) + 7)
    np.testing.assert_array_equal(logits.numbers(), expected)
    np.testing.assert_array_equal(logits.dequantize(every), expected)
    memory[0] = every[::-1]
    np.testing.assert_array_equal(logits.numbers(), expected[::-1])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_other_types_are_computed(dtype):
    memory = np.arange(4, dtype=dtype)[None]
    details = {"quantization": (0.0, 0)} if dtype == np.float32 else DETAILS
    found = Logits(memory, details).numbers()
    expected = np.arange(4.0)
    if dtype != np.float32:
        expected = 0.1234567 * (expected + 7)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float64


def test_a_copy_stays():
    memory = np.array([[1, 2]], np.int8)
    kept = Logits(memory, DETAILS).copy()
    memory[:] = 0
    assert kept.tolist() == [1, 2]
