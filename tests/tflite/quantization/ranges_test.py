import pytest
import tensorflow as tf

from tflite.quantization import ranges


@pytest.mark.parametrize(
    ("symmetric", "given", "expected"),
    [
        (False, (-1.0, 2.0), (-1.0, 2.0)),
        # Zero is in it.
        (False, (1.0, 2.0), (0.0, 2.0)),
        (False, (-2.0, -1.0), (-2.0, 0.0)),
        # Where all is zero.
        (False, (0.0, 0.0), (0.0, 2**-4)),
        (True, (-1.0, 2.0), (-2.0, 2.0)),
        (True, (-0.5, 0.25), (-0.5, 0.5)),
        # Kernels may be small.
        (True, (0.0, 2**-8), (-(2**-8), 2**-8)),
    ],
)
def test_a_range_is_made_valid(symmetric, given, expected):
    low, high = tf.Variable(-6.0), tf.Variable(6.0)
    ranges.Range(low, high, symmetric).set(*given)
    assert (float(low), float(high)) == expected
