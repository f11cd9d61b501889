import numpy as np
import pytest

from tests.support.tiny_graph import TinyGraph
from tflite.diagnosis import equivalence
from tflite.runtime.harness import Reached


class Fixed:
    """Gives the same logits for an image whenever it is asked."""

    def __init__(self, *logits):
        self.of_image = logits

    def logits(self, image):
        return self.of_image[int(image[0, 0, 0])]

    def exits(self, image):
        for values in self.logits(image):
            yield Reached(values, (0.5,), (True,), int(values[0]))


IMAGES = np.arange(2, dtype=np.uint8).reshape(2, 1, 1, 1)


def logits(*exits) -> list[np.ndarray]:
    return [np.array(each, np.int8) for each in exits]


def test_equal_logits_do_not_mismatch():
    both = Fixed(logits([1, 2], [3, -4]), logits([0, 0], [5, 6]))
    assert equivalence.compare(both, both, IMAGES).mismatches == 0


def test_every_differing_logit_counts():
    chain = Fixed(logits([1, 2], [3, 4]), logits([0, 0], [5, 6]))
    whole = Fixed(logits([1, 0], [3, 4]), logits([1, 1], [5, 7]))
    assert equivalence.compare(chain, whole, IMAGES).mismatches == 4
    assert equivalence.compare(chain, whole, IMAGES[:1]).mismatches == 1
    assert equivalence.compare(chain, whole, IMAGES[:0]).mismatches == 0


def test_multiply_adds_are_those_up_to_each_exit():
    chain = Fixed(logits([1, 2], [3, 4]), logits([0, 0], [5, 6]))
    madds = equivalence.compare(chain, chain, IMAGES).madds
    np.testing.assert_array_equal(madds, [[1, 4], [0, 5]])


def test_a_missing_exit_is_no_match():
    chain, whole = Fixed(logits([1, 2])), Fixed(logits([1, 2], [3, 4]))
    with pytest.raises(ValueError, match="zip"):
        equivalence.compare(chain, whole, IMAGES[:1])


def test_float_operators_are_named():
    graph = TinyGraph()
    x = graph.tensor([1, 4])
    y = graph.run("TANH", [x], name="squashed")
    model = graph.write([x], [y])
    assert equivalence.float_operators(model) == [
        "TANH giving 'squashed' is not int8"
    ]
