import numpy as np
import pytest
from tiny_graph import TinyGraph

from tflite import gate
from tflite.harness import Reached


def rows(*accuracies: tuple[float, float]) -> list[dict]:
    return [
        {"exit": k, "accuracy": {"float": before, "int8": after}}
        for k, (before, after) in enumerate(accuracies)
    ]


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


@pytest.mark.parametrize(
    "accuracies",
    [
        (0.99, 0.99),
        (0.98, 0.99),
        # Exactly one point, up to the rounding of the shares: 99 - 98 of 100.
        (0.99, 0.98),
        (359 / 360, 1.0),
        (0.07, 0.06),
    ],
)
def test_a_loss_of_just_the_limit_is_allowed(accuracies):
    assert gate.accuracy_losses(rows(accuracies), 1.0) == []


@pytest.mark.parametrize("accuracies", [(0.99, 0.9799), (1.0, 0.0)])
def test_more_is_not(accuracies):
    [cause] = gate.accuracy_losses(rows(accuracies), 1.0)
    before, after = accuracies
    assert cause.startswith(f"exit 0 lost {100 * (before - after):.2f} points")
    assert f"{100 * before:.2f} % to {100 * after:.2f} %" in cause
    assert cause.endswith("1 allowed")


def test_every_exit_that_lost_is_named():
    found = rows((0.9, 0.8), (0.9, 0.9), (0.9, 0.85))
    causes = gate.accuracy_losses(found, 2.5)
    assert [cause.split()[1] for cause in causes] == ["0", "2"]
    assert gate.accuracy_losses(found, 10.0) == []


def test_no_loss_allowed():
    assert gate.accuracy_losses(rows((0.9, 0.9)), 0.0) == []
    assert len(gate.accuracy_losses(rows((0.9, 0.899)), 0.0)) == 1


def test_equal_logits_do_not_mismatch():
    both = Fixed(logits([1, 2], [3, -4]), logits([0, 0], [5, 6]))
    assert gate.compare(both, both, IMAGES).mismatches == 0


def test_every_differing_logit_counts():
    chain = Fixed(logits([1, 2], [3, 4]), logits([0, 0], [5, 6]))
    whole = Fixed(logits([1, 0], [3, 4]), logits([1, 1], [5, 7]))
    assert gate.compare(chain, whole, IMAGES).mismatches == 4
    assert gate.compare(chain, whole, IMAGES[:1]).mismatches == 1
    assert gate.compare(chain, whole, IMAGES[:0]).mismatches == 0


def test_multiply_adds_are_those_up_to_each_exit():
    chain = Fixed(logits([1, 2], [3, 4]), logits([0, 0], [5, 6]))
    madds = gate.compare(chain, chain, IMAGES).madds
    np.testing.assert_array_equal(madds, [[1, 4], [0, 5]])


def test_a_missing_exit_is_no_match():
    chain, whole = Fixed(logits([1, 2])), Fixed(logits([1, 2], [3, 4]))
    with pytest.raises(ValueError, match="zip"):
        gate.compare(chain, whole, IMAGES[:1])


def test_float_operators_are_named():
    graph = TinyGraph()
    x = graph.tensor([1, 4])
    y = graph.run("TANH", [x], name="squashed")
    model = graph.write([x], [y])
    assert gate.float_operators(model) == ["TANH giving 'squashed' is not int8"]
