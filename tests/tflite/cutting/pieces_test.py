"""Which gated segments have a bypass, and that it gives the same numbers."""

import numpy as np
import pytest

from tests.support.tiny_graph import TinyGraph
from tflite.cutting import split
from tflite.format import model_file
from tflite.runtime import interpreter

RNG = np.random.default_rng(0)
X = RNG.normal(size=(1, 8)).astype(np.float32)


class Row(TinyGraph):
    """Rows of eight numbers, dense layers, and gates for them."""

    def __init__(self):
        super().__init__()
        self.x = self.tensor([1, 8], name="x")
        self.one = self.tensor([1, 1])

    def dense(self, x: int) -> int:
        weights = RNG.normal(size=(8, 8)).astype(np.float32)
        inputs = [x, self.constant(weights), -1]
        return self.run("FULLY_CONNECTED", inputs, like=self.x)

    def branch(self, x: int, is_open: bool = True) -> int:
        """A dense layer times a score of `x`, which is 1 or 0."""
        weights = self.constant(np.zeros((1, 8), np.float32))
        bias = self.constant(np.array([is_open], np.float32))
        inputs = [x, weights, bias]
        score = self.run("FULLY_CONNECTED", inputs, like=self.one)
        return self.run("MUL", [self.dense(x), self.run("RELU", [score])])

    def segments(self, *outputs: int) -> tuple[bytes, tuple]:
        names = {"x": self.x} | {f"out_{i}": i for i in outputs}
        model = self.write([self.x], outputs, names)
        return model, split.split(model)


def added(graph, x, product):
    return graph.run("ADD", [x, product])


def subtracted(graph, x, product):
    return graph.run("SUB", [product, x])


def activated(graph, x, product):
    return graph.run("ADD", [x, graph.run("TANH", [product])])


def alone(graph, x, product):
    return graph.run("ADD", [product, graph.constant(X[:, :1])])


def doubled(graph, x, product):
    return graph.run("ADD", [product, product])


def with_weights(graph, x, product):
    return graph.dense(graph.run("ADD", [x, product]))


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize(
    ("join", "bypasses"),
    [
        (added, 1),
        (subtracted, 1),
        # Not elementwise, of another shape, or heavier than a quarter.
        (activated, 0),
        (alone, 0),
        (doubled, 0),
        (with_weights, 0),
    ],
)
def test_a_join_without_weights_has_a_bypass(
    run_whole, run_chain, join, bypasses, is_open
):
    graph = Row()
    x = join(graph, graph.x, graph.branch(graph.x, is_open))
    # The first join computes the second gate; the second one is the exit.
    out = graph.run("ADD", [x, graph.branch(x)])
    model, segments = graph.segments(out)
    assert sum(each.wiring.bypass for each in segments) == bypasses
    assert not segments[-1].wiring.bypass
    expected = run_whole(model, {"x": X})
    found = run_chain(segments, {"x": X})
    np.testing.assert_array_equal(found[f"out_{out}"], expected[f"out_{out}"])


def test_a_bypass_has_a_number_for_what_it_does_without():
    graph = Row()
    x = graph.run("ADD", [graph.x, graph.branch(graph.x)])
    _, segments = graph.segments(graph.run("ADD", [x, graph.branch(x)]))
    [place] = [i for i, each in enumerate(segments) if each.wiring.bypass]
    full, bypass = segments[place - 1], segments[place]
    assert full.wiring.outputs == bypass.wiring.outputs
    assert bypass.wiring.inputs == ("x",)
    assert bypass.operators == full.operators - 2  # Dense layer and product.
    sizes = [
        tensor.shape.tolist()
        for tensor in model_file.read(bypass.model).subgraphs[0].tensors
    ]
    assert sizes.count([1, 1]) == 1 + 2  # The 0, a score and the gate.
    run = interpreter.load(bypass.model).get_signature_runner()
    [shortcut] = [v for v in run(x=X).values() if v.size == X.size]
    np.testing.assert_array_equal(shortcut, X)


def test_what_two_segments_read_has_no_bypass(run_whole, run_chain):
    graph = Row()
    product = graph.branch(graph.x, is_open=False)
    x = graph.run("ADD", [graph.x, product])
    y = graph.run("ADD", [x, graph.branch(x)])
    out = graph.run("ADD", [y, product])
    model, segments = graph.segments(out)
    assert not any(each.wiring.bypass for each in segments)
    np.testing.assert_array_equal(
        run_chain(segments, {"x": X})[f"out_{out}"],
        run_whole(model, {"x": X})[f"out_{out}"],
    )


def test_of_two_branches_one_is_joined(run_whole, run_chain):
    for states in ((True, True), (True, False), (False, True), (False, False)):
        graph = Row()
        x = graph.x
        for is_open in states:
            x = graph.run("ADD", [x, graph.branch(graph.x, is_open)])
        out = graph.run("ADD", [x, graph.branch(x)])
        model, segments = graph.segments(out)
        gates = [each.wiring.gate is not None for each in segments]
        assert gates == [False, True, True, False, True, False]
        assert segments[3].wiring.bypass
        np.testing.assert_array_equal(
            run_chain(segments, {"x": X})[f"out_{out}"],
            run_whole(model, {"x": X})[f"out_{out}"],
        )
