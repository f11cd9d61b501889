import numpy as np

from tests.support.tiny_graph import TinyGraph
from tflite.diagnosis import delegation


def int8_sums(pools: int) -> bytes:
    """x + x, then as many times an average pool and another sum."""
    graph = TinyGraph()
    x = graph.tensor([1, 4, 4, 2], np.int8, scale=0.1)
    y = graph.run("ADD", [x, x])
    for _ in range(pools):
        y = graph.run(
            "AVERAGE_POOL_2D",
            [y],
            strideW=1,
            strideH=1,
            filterWidth=2,
            filterHeight=2,
        )
        y = graph.run("ADD", [y, y])
    return graph.write([x], [y], {"x": x, "y": y})


def test_int8_sums_are_one_partition():
    facts = delegation.delegation(int8_sums(0))
    assert facts == delegation.Delegation(operators=1, partitions=1, left=())
    assert facts.complete


def test_int8_average_pool_stays_outside():
    facts = delegation.delegation(int8_sums(1))
    assert facts.operators == 3
    assert facts.partitions == 2
    assert facts.left == ("AVERAGE_POOL_2D",)
    assert not facts.complete
    assert delegation.delegation(int8_sums(2)).partitions == 3


def test_nothing_delegated():
    graph = TinyGraph()
    x = graph.tensor([1, 4, 4, 2], np.int8, scale=0.1)
    y = graph.run(
        "AVERAGE_POOL_2D",
        [x],
        strideW=1,
        strideH=1,
        filterWidth=2,
        filterHeight=2,
    )
    facts = delegation.delegation(graph.write([x], [y]))
    assert facts.partitions == 0
    assert facts.left == ("AVERAGE_POOL_2D",)
    assert not facts.complete


def test_converted_network_is_one_partition(int8_model, float_model):
    assert delegation.delegation(int8_model).complete
    assert delegation.delegation(float_model).complete
