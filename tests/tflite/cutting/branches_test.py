"""What is taken for a gate, and what it switches off."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.support.tiny_graph import TinyGraph
from tflite.cutting import branches
from tflite.format import model_file

RNG = np.random.default_rng(0)


class Gated(TinyGraph):
    """Rows of four numbers, dense layers, and scores for them."""

    def __init__(self, dtype=np.float32, **quantization):
        super().__init__()
        facts = {"scale": 1 / 255} if dtype == np.int8 else {}
        self.x = self.tensor([1, 4], dtype, **facts)
        facts |= quantization
        self.score = self.tensor([1, 1], dtype, **facts)
        self.weights = {
            n: self.constant(RNG.normal(size=(n, 4)).astype(dtype))
            for n in (1, 4)
        }
        for index in self.weights.values():
            self.tensors[index].quantization = self.tensors[self.x].quantization

    def dense(self, x: int) -> int:
        return self.run(
            "FULLY_CONNECTED", [x, self.weights[4], -1], like=self.x
        )

    def gate(self, x: int, code: str | None = "RELU") -> int:
        inputs = [x, self.weights[1], -1]
        score = self.run("FULLY_CONNECTED", inputs, like=self.score)
        return score if code is None else self.run(code, [score])

    def found(self, *outputs: int) -> dict[int, set[int]]:
        """Returns each gate's operators, by the tensors that they write."""
        whole = model_file.read(self.write([self.x], outputs))
        operators = whole.subgraphs[0].operators
        return {
            each.gate: {operators[i].outputs[0] for i in each.operators}
            for each in branches.branches(whole)
        }


def test_a_branch_is_what_only_the_product_needs():
    graph = Gated()
    shared = graph.dense(graph.x)
    gate = graph.gate(shared)
    own = [graph.dense(shared)]
    own.append(graph.run("TANH", [own[0]]))
    own.append(graph.run("MUL", [own[1], gate]))
    assert graph.found(graph.run("ADD", [shared, own[2]])) == {gate: set(own)}


@pytest.mark.parametrize("first", [False, True])
def test_the_gate_may_be_either_operand(first):
    graph = Gated()
    gate, own = graph.gate(graph.x), graph.dense(graph.x)
    product = graph.run("MUL", [gate, own] if first else [own, gate], like=own)
    found = graph.found(graph.run("ADD", [graph.x, product]))
    assert found == {gate: {own, product}}


def test_what_the_gate_is_computed_from_is_no_part_of_its_branch():
    graph = Gated()
    before = graph.dense(graph.x)
    gate, own = graph.gate(before), graph.dense(before)
    product = graph.run("MUL", [own, gate])
    found = graph.found(graph.run("ADD", [graph.x, product]))
    assert found == {gate: {own, product}}


def test_an_exit_may_look_into_the_branch():
    graph = Gated()
    gate, own = graph.gate(graph.x), graph.dense(graph.x)
    product = graph.run("MUL", [graph.dense(own), gate])
    last = graph.run("ADD", [graph.x, product])
    [(found, operators)] = graph.found(graph.run("TANH", [own]), last).items()
    assert found == gate
    assert own not in operators


def test_products_with_one_gate_are_one_branch():
    graph = Gated()
    gate, shared = graph.gate(graph.x), graph.dense(graph.x)
    halves = [graph.dense(shared), graph.run("TANH", [shared])]
    products = [graph.run("MUL", [each, gate]) for each in halves]
    found = graph.found(graph.run("ADD", products))
    assert found == {gate: {shared, *halves, *products}}


def test_gates_nest():
    graph = Gated()
    outer, first = graph.gate(graph.x), graph.dense(graph.x)
    inner, second = graph.gate(first), graph.dense(first)
    product = graph.run("MUL", [second, inner])
    total = graph.run("ADD", [first, product])
    last = graph.run("MUL", [total, outer])
    whole = model_file.read(
        graph.write([graph.x], [graph.run("ADD", [graph.x, last])])
    )
    found = branches.branches(whole)
    assert {each.gate for each in found} == {outer, inner}
    gates = branches.innermost(found)
    written = {
        each.outputs[0]: gates.get(index)
        for index, each in enumerate(whole.subgraphs[0].operators)
    }
    assert written[second] == written[product] == inner
    for tensor in (first, inner, total, last):
        assert written[tensor] == outer
    assert written[outer] is None


def no_weights(graph):
    """A branch that costs nothing to speak of."""
    product = graph.run(
        "MUL", [graph.run("TANH", [graph.x]), graph.gate(graph.x)]
    )
    return graph.run("ADD", [graph.x, product])


def shared_weights(graph):
    """All that costs is needed elsewhere."""
    shared = graph.dense(graph.x)
    return graph.run(
        "ADD", [shared, graph.run("MUL", [shared, graph.gate(shared)])]
    )


def squeeze_and_excite(graph):
    """A factor for each channel."""
    factors = graph.run("RELU", [graph.dense(graph.x)])
    product = graph.run("MUL", [graph.dense(graph.x), factors])
    return graph.run("ADD", [graph.x, product])


def constant(graph):
    half = graph.constant(np.full((1, 1), 0.5, np.float32))
    product = graph.run("MUL", [graph.dense(graph.x), half])
    return graph.run("ADD", [graph.x, product])


def computed_constant(graph):
    half = graph.constant(np.full((1, 1), 0.5, np.float32))
    half = graph.run("RELU", [half])
    product = graph.run("MUL", [graph.dense(graph.x), half])
    return graph.run("ADD", [graph.x, product])


def unclamped(graph):
    product = graph.run(
        "MUL", [graph.dense(graph.x), graph.gate(graph.x, None)]
    )
    return graph.run("ADD", [graph.x, product])


def sigmoid(graph):
    gate = graph.gate(graph.x, "LOGISTIC")
    return graph.run(
        "ADD", [graph.x, graph.run("MUL", [graph.dense(graph.x), gate])]
    )


def an_output(graph):
    """The exit's own logits, which are always wanted."""
    return graph.run("MUL", [graph.dense(graph.x), graph.gate(graph.x)])


def squashed(graph):
    """A product that goes through an activation other than a clamp."""
    kinds = schema.ActivationFunctionType
    product = graph.run(
        "MUL",
        [graph.dense(graph.x), graph.gate(graph.x)],
        fusedActivationFunction=kinds.SIGN_BIT,
    )
    return graph.run("ADD", [graph.x, product])


def of_scores(graph):
    """The product of two gates is cheap, whatever they cost."""
    product = graph.run("MUL", [graph.gate(graph.x), graph.gate(graph.x)])
    return graph.run("ADD", [graph.x, product])


@pytest.mark.parametrize(
    "build",
    [
        no_weights,
        shared_weights,
        squeeze_and_excite,
        constant,
        computed_constant,
        unclamped,
        sigmoid,
        an_output,
        squashed,
        of_scores,
    ],
)
def test_what_is_no_gated_branch(build):
    graph = Gated()
    assert graph.found(build(graph)) == {}


def test_a_score_that_comes_in_is_no_gate():
    graph = Gated()
    product = graph.run("MUL", [graph.dense(graph.x), graph.score])
    last = graph.run("ADD", [graph.x, product])
    whole = model_file.read(graph.write([graph.x, graph.score], [last]))
    assert branches.branches(whole) == ()


def clipped(graph, score):
    """As the converter writes a clip to [0, 1]."""
    one = graph.constant(np.ones((), np.float32))
    return graph.run("RELU", [graph.run("MINIMUM", [score, one])])


def maximum(graph, score):
    zero = graph.constant(np.zeros((), np.float32))
    return graph.run("MAXIMUM", [score, zero])


def reshaped(graph, score):
    shape = graph.constant(np.array([1, 1], np.int32))
    return graph.run("RESHAPE", [graph.run("RELU", [score]), shape])


def fused(graph, score):
    relu = schema.ActivationFunctionType.RELU6
    return graph.run("ADD", [score, score], fusedActivationFunction=relu)


def product(graph, score):
    other = graph.gate(graph.x)
    return graph.run("MUL", [graph.run("RELU", [score]), other])


@pytest.mark.parametrize("clamp", [clipped, maximum, reshaped, fused, product])
def test_floats_may_be_clamped_in_many_ways(clamp):
    graph = Gated()
    gate = clamp(graph, graph.gate(graph.x, None))
    own = graph.dense(graph.x)
    scaled = graph.run("MUL", [own, gate])
    assert gate in graph.found(graph.run("ADD", [graph.x, scaled]))


@pytest.mark.parametrize(
    ("zero_point", "code", "is_gate"),
    [
        (-128, None, True),
        (-128, "RELU", True),
        (-128, "LOGISTIC", False),
        (-128, "SOFTMAX", False),
        (-127, None, False),
        (0, "RELU", False),
    ],
)
def test_an_int8_gate_has_its_zero_at_the_bottom(zero_point, code, is_gate):
    graph = Gated(np.int8, zero_point=zero_point)
    gate, own = graph.gate(graph.x, code), graph.dense(graph.x)
    scaled = graph.run("MUL", [own, gate])
    found = graph.found(graph.run("ADD", [graph.x, scaled]))
    assert found == ({gate: {own, scaled}} if is_gate else {})
