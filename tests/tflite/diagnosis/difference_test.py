import numpy as np
import pytest

from tests.support.tiny_graph import TinyGraph
from tflite.diagnosis import difference


def model(
    weights=(1, 2, 3, 4),
    zero_point=0,
    scale=0.5,
    code="ADD",
    names=("first", "second"),
) -> bytes:
    """x + weights, and that + x."""
    graph = TinyGraph()
    x = graph.tensor([1, 4], np.int8, name="x", scale=0.5)
    held = graph.constant(np.array([weights], np.int8))
    graph.tensors[held].quantization = graph.tensors[x].quantization
    first = graph.tensor(
        [1, 4], np.int8, name=names[0], scale=scale, zero_point=zero_point
    )
    graph.operator(code, [x, held], [first])
    second = graph.run("ADD", [first, x], like=x, name=names[1])
    return graph.write([x], [second])


def test_the_same_model():
    assert difference.differences(model(), model()) == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"weights": (1, 2, 3, 0)},
            f"first: constants of ADD differ by {100 * 4 / 30**0.5:.1f} %",
        ),
        ({"zero_point": 9}, "first: zero point [9] instead of [0]"),
        ({"scale": 0.25}, "first: scale [0.25] instead of [0.5]"),
        ({"code": "MUL"}, "first: operator MUL instead of ADD"),
    ],
)
def test_what_changed_is_named(changes, line):
    assert difference.differences(model(), model(**changes)) == [line]


def test_what_is_new_and_what_is_gone():
    found = difference.differences(model(), model(names=("other", "second")))
    assert found == ["other: ADD was not there", "first: ADD is gone"]


def test_a_long_list_is_cut():
    graph, longer = TinyGraph(), TinyGraph()
    for each, count in ((graph, 1), (longer, 20)):
        x = each.tensor([1, 4], name="x")
        for i in range(count):
            y = each.run("ADD", [x, x], name=f"y{i}")
        each.model_bytes = each.write([x], [y])
    found = difference.differences(graph.model_bytes, longer.model_bytes)
    assert len(found) == 9
    assert found[-1] == "and 11 more differences"
