"""Models with gates: cut, bundled, and run with what is not needed skipped."""

import collections
import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dynamic.exits.decision.policy import Policy
from tests.support import tiny_gated
from tests.support.tiny_graph import TinyGraph
from tflite import bundle
from tflite.cutting import counting, split
from tflite.diagnosis import delegation
from tflite.format import model_file
from tflite.runtime import (
    batch_harness,
    harness,
    open_bundle,
    whole_model,
)

RNG = np.random.default_rng(0)
NAMES = tuple(tiny_gated.NETWORKS)
POOL = tiny_gated.images(32)
FLOAT = bundle.InputFacts((16, 16, 3), "float32", 1 / 255, 0)


def cut(name: str, dtype: str = "int8") -> tuple[split.Segment, ...]:
    return split.split(tiny_gated.converted(name, dtype))


def policy_of(*thresholds: float) -> Policy:
    count = len(thresholds)
    return Policy(
        thresholds=thresholds,
        temperatures=(0.5,) * count,
        enabled=(True,) * count,
    )


@pytest.fixture(scope="module")
def directories(tmp_path_factory, write_bundle):
    """A bundle of each int8 network."""
    made = {}
    for name in NAMES:
        path = tmp_path_factory.mktemp(name)
        segments = cut(name)
        madds = [counting.count(each.model).madds for each in segments]
        write_bundle(path, segments, madds)
        made[name] = str(path)
    return made


@pytest.fixture(scope="module")
def opened(directories):
    return {name: harness.Harness(path) for name, path in directories.items()}


@pytest.fixture(scope="module")
def whole():
    """The logits of the uncut int8 model: (name, image) -> [C] per exit."""
    loaded = {}

    def logits(name, image):
        if name not in loaded:
            model = model_file.read(tiny_gated.converted(name))
            for k, entry in enumerate(model.signatureDefs[0].outputs):
                entry.name = f"exit_{k}"
            loaded[name] = whole_model.Unsplit(model_file.write(model))
        return loaded[name].logits(image)

    return logits


def test_a_row_of_blocks_is_cut_in_turn():
    segments = cut("blocks")
    kinds = [
        (
            each.wiring.exit,
            "bypass" if each.wiring.bypass else each.wiring.gate is not None,
        )
        for each in segments
    ]
    base, gated, bypass = (None, False), (None, True), (None, "bypass")
    assert kinds == [
        *[base, gated, (0, False)],
        *[base, gated, bypass, gated, (1, False)],
    ]
    known = {"image"}
    for before, segment in itertools.pairwise((None, *segments)):
        if segment.wiring.bypass:
            assert segment.wiring.outputs == before.wiring.outputs
            known.difference_update(segment.wiring.outputs)
        assert known.issuperset(segment.wiring.inputs)
        assert segment.wiring.gate is None or segment.wiring.gate in known
        assert (segment.output is None) == (segment.wiring.exit is None)
        known.update(segment.wiring.outputs)


def test_groups_in_a_block_are_segments_of_their_own():
    segments = cut("nested")
    counts = collections.Counter(each.wiring.gate for each in segments)
    # Before, between and after; the block's own twice, each group once.
    assert sorted(counts.values()) == [1, 1, 1, 1, 2, 3]
    [outer] = [gate for gate, count in counts.items() if gate and count == 2]
    inside = [each for each in segments if each.wiring.gate == outer]
    inner = {each.wiring.gate for each in segments}
    inner &= set(inside[0].wiring.outputs)
    assert len(inner) == 2


@pytest.mark.parametrize("name", NAMES)
def test_each_operator_runs_once_and_branches_stay_delegated(name):
    model = tiny_gated.converted(name)
    segments = cut(name)
    graph = model_file.read(model).subgraphs[0]
    once = [each.operators for each in segments if not each.wiring.bypass]
    assert sum(once) == len(graph.operators)
    for each in segments:
        # And no other gate.
        if each.wiring.gate and len(each.wiring.outputs) == 1:
            assert delegation.delegation(each.model).complete


def test_without_gates_exits_alone_are_cut():
    model = tiny_gated.converted("blocks")
    segments = split.split(model, gates=False)
    assert [each.wiring.exit for each in segments] == [0, 1]
    assert {each.wiring.gate for each in segments} == {None}
    one = split.split(tiny_gated.converted("nested"), gates=False)
    assert [each.wiring.exit for each in one] == [0]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(NAMES))
def test_the_chain_equals_the_whole_bit_for_bit(opened, whole, seed, name):
    [image] = tiny_gated.images(1, seed)
    found, expected = opened[name].logits(image), whole(name, image)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_every_branch_is_run_for_some_images_and_skipped_for_others(
    opened, name
):
    ran = np.array([opened[name].run(image).ran for image in POOL])
    for column, facts in zip(ran.T, opened[name].bundle.segments, strict=True):
        assert column.any()
        assert column.all() == (
            facts.wiring.gate is None and not facts.wiring.bypass
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_float_chain_gives_the_same_numbers(
    tmp_path, write_bundle, run_whole, name
):
    model = tiny_gated.converted(name, "float32")
    segments = cut(name, "float32")
    write_bundle(tmp_path, segments, input=FLOAT)
    outputs = [each.output for each in segments if each.wiring.exit is not None]
    skipped = 0
    with harness.Harness(str(tmp_path)) as chain:
        for image in POOL[:12]:
            pixels = image[np.newaxis] * np.float32(1 / 255)
            expected = run_whole(model, {"image": pixels})
            for output, reached in zip(
                outputs, chain.exits(image), strict=True
            ):
                np.testing.assert_array_equal(
                    reached.logits, expected[output][0]
                )
                skipped += reached.ran.count(False)
    assert skipped


def test_a_skipped_segment_is_not_run(directories):
    places = []

    class Counting(open_bundle.OpenBundle):
        def runner(self, loaded, place):
            run = super().runner(loaded, place)
            return lambda: (places.append(place), run())

    for path in directories.values():
        with harness.Harness(path, open_bundle=Counting) as chain:
            for image in POOL:
                places.clear()
                ran = chain.run(image).ran
                assert places == np.flatnonzero(ran).tolist()


def test_what_is_inside_of_a_skipped_block_is_skipped(opened):
    segments = cut("nested")
    counts = collections.Counter(
        each.wiring.gate for each in segments if each.wiring.gate
    )
    [outer] = [gate for gate, count in counts.items() if count == 2]
    first = [each.wiring.gate for each in segments].index(outer)
    inner = {*segments[first].wiring.outputs, outer}
    within = [each.wiring.gate in inner for each in segments]
    ran = np.array([opened["nested"].run(image).ran for image in POOL])
    closed = ran[~ran[:, first]][:, within]
    assert len(closed)
    assert not closed.any()


@pytest.mark.parametrize("name", NAMES)
def test_results_tell_what_ran(opened, name):
    facts = opened[name].bundle.segments
    exits = len(opened[name].bundle.ends)
    for image in POOL:
        for chosen in (policy_of(*[0.0] * exits), None):
            result = opened[name].run(image, chosen)
            assert result.exit == (0 if chosen else exits - 1)
            up_to = opened[name].bundle.ends[result.exit] + 1
            assert len(result.ran) == len(result.segment_ms) == up_to
            assert result.madds == sum(
                each.madds
                for each, ran in zip(facts, result.ran, strict=False)
                if ran
            )
            for ms, ran in zip(result.segment_ms, result.ran, strict=True):
                assert ms > 0.0 if ran else ms == 0.0


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.integers(0, len(POOL) - 1), max_size=20),
    name=st.sampled_from(NAMES),
    size=st.sampled_from([1, 3, 8]),
    threshold=st.floats(0.2, 0.6),
)
def test_batches_give_the_same_bits(
    opened, directories, batched, rows, name, size, threshold
):
    exits = len(opened[name].bundle.ends)
    chosen = policy_of(*[threshold] * (exits - 1), 0.0)
    results = batched(name, size).run(POOL[rows], chosen)
    for i, row in enumerate(rows):
        expected = opened[name].run(POOL[row], chosen)
        assert results.exits[i] == expected.exit
        assert results.madds[i] == expected.madds
        np.testing.assert_array_equal(
            results.probabilities[i], expected.probabilities
        )


@pytest.fixture(scope="module")
def batched(directories):
    """Harnesses by name and batch size, each opened once."""
    made = {}

    def get(name, size):
        if (name, size) not in made:
            made[name, size] = batch_harness.BatchHarness(
                directories[name], size
            )
        return made[name, size]

    return get


def test_only_the_images_that_need_a_segment_are_in_its_batch(
    opened, directories, monkeypatch
):
    sizes = collections.Counter()
    invoke = batch_harness._Segment._invoke

    def counted(self, tensors):
        sizes[self.facts.file] += len(next(iter(tensors.values())))
        return invoke(self, tensors)

    many = batch_harness.BatchHarness(directories["blocks"], 8)
    many.run(POOL)  # Compares with one by one.
    monkeypatch.setattr(batch_harness._Segment, "_invoke", counted)
    expected = np.sum([opened["blocks"].run(image).ran for image in POOL], 0)
    results = many.run(POOL, policy_of(1.0, 0.0))
    assert (results.exits == 1).all()
    found = [sizes[facts.file] for facts in many.bundle.segments]
    assert found == expected.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_files_are_named_after_exits_and_places(directories, name):
    found = bundle.read(directories[name])
    assert found.gated
    for place, facts in enumerate(found.segments):
        if facts.wiring.exit is None:
            assert facts.file == f"segment_{place}.tflite"
        else:
            assert facts.file == f"exit_{facts.wiring.exit}.tflite"
    ends = [found.segments[place].wiring.exit for place in found.ends]
    assert ends == list(range(len(found.ends)))


def test_write(tmp_path):
    source = tmp_path / "model.tflite"
    source.write_bytes(tiny_gated.converted("nested"))
    segments = split.write(str(source), str(tmp_path / "out"))
    rows = json.loads((tmp_path / "out" / "segments.json").read_text())
    for place, (row, segment) in enumerate(
        zip(rows["segments"], segments, strict=True)
    ):
        assert row["file"] == f"segment_{place}.tflite"
        assert row.get("gate") == segment.wiring.gate
        assert ("gate" in row) == (segment.wiring.gate is not None)
        assert row.get("bypass", False) == segment.wiring.bypass
        assert row["exit"] == segment.wiring.exit
    with pytest.raises(split.CannotSplit, match="or a gate"):
        split.write(str(source), str(tmp_path / "one"), gates=False)


@pytest.mark.parametrize("name", NAMES)
def test_segments_cost_what_the_keras_model_does(name):
    network = tiny_gated.network(name)
    # Needs Keras, as the network does.
    from keras_dynamic.graph import cost

    expected = cost.exit_costs(network)
    for dtype in ("int8", "float32"):
        # With all gates open.
        segments = [each for each in cut(name, dtype) if not each.wiring.bypass]
        counted = [counting.count(each.model) for each in segments]
        ends = [
            place
            for place, each in enumerate(segments)
            if each.wiring.exit is not None
        ]
        for end, exit in zip(ends, expected, strict=True):
            parts = counted[: end + 1]
            assert sum(each.madds for each in parts) == exit.madds
            # There is no normalisation to fold away.
            assert sum(each.params for each in parts) == exit.params


@st.composite
def gated_graphs(draw) -> bytes:
    """Random float graphs with gates anywhere, and one output or more."""
    graph = TinyGraph()
    x = graph.tensor([1, 4], name="x")
    one = graph.tensor([1, 1])
    values = np.random.default_rng(draw(st.integers(0, 99)))
    weights = {
        n: graph.constant(values.normal(size=(n, 4)).astype(np.float32))
        for n in (1, 4)
    }
    rows, gates, results = [x], [], []
    for _ in range(draw(st.integers(4, 24))):
        row = draw(st.sampled_from(rows))
        code = draw(
            st.sampled_from(["gate", "gated", "gated", "dense", "dense", "ADD"])
        )
        if code == "gate":
            inputs = [row, weights[1], -1]
            score = graph.run("FULLY_CONNECTED", inputs, like=one)
            gates.append(graph.run("RELU", [score]))
            continue
        if code == "gated" and gates:
            gate = draw(st.sampled_from(gates))
            rows.append(graph.run("MUL", [row, gate]))
        elif code == "ADD":
            rows.append(graph.run("ADD", [row, draw(st.sampled_from(rows))]))
        else:
            dense = graph.run("FULLY_CONNECTED", [row, weights[4], -1], like=x)
            rows.append(graph.run("TANH", [dense]))
        results.append(rows[-1])
    if not results:
        results.append(graph.run("TANH", [x]))
    early = draw(st.lists(st.sampled_from(results), max_size=2))
    outputs = list(dict.fromkeys([results[-1], *early]))
    names = {"x": x} | {f"out_{i}": i for i in outputs}
    return graph.write([x], outputs, names)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(gated_graphs())
def test_any_graph_with_gates_gives_the_same_numbers(
    run_whole, run_chain, model
):
    segments = split.split(model)
    exits = [
        each.wiring.exit for each in segments if each.wiring.exit is not None
    ]
    assert exits == list(range(len(exits)))
    assert segments[-1].wiring.exit is not None
    for sign in (1, -1):
        value = {"x": sign * RNG.normal(size=(1, 4)).astype(np.float32)}
        expected, found = run_whole(model, value), run_chain(segments, value)
        for name, logits in expected.items():
            np.testing.assert_array_equal(found[name], logits)
