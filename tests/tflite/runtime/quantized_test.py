import numpy as np
import pytest

from tflite.bundle import InputFacts
from tflite.runtime.quantized import quantized

EVERY = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
INT8 = InputFacts(EVERY.shape)
FLOAT = InputFacts(EVERY.shape, "float32", 1 / 255, 0)


def test_int8_is_the_pixel_less_128():
    found = quantized(EVERY, INT8)
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, EVERY.astype(int) - 128)


def test_float_is_the_pixel_times_the_scale():
    found = quantized(EVERY, FLOAT)
    assert found.dtype == np.float32
    expected = EVERY.astype(np.float32) * np.float32(1 / 255)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("facts", [INT8, FLOAT])
@pytest.mark.parametrize("pixels", [EVERY, EVERY[None], EVERY[:, ::2, ::-1]])
def test_it_writes_where_it_is_told(facts, pixels):
    before = pixels.copy()
    out = np.zeros(pixels.shape, facts.dtype)
    found = quantized(pixels, facts, out=out)
    np.testing.assert_array_equal(out, quantized(before, facts))
    np.testing.assert_array_equal(found, out)
    np.testing.assert_array_equal(pixels, before)
