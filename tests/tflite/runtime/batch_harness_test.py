import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dynamic.exits import KINDS, Scheduler
from keras_dynamic.exits.decision.policy import Policy
from tests.support.tiny_graph import TinyGraph
from tflite import bundle
from tflite.cutting import split
from tflite.format import model_file
from tflite.runtime import batch_harness, harness

RNG = np.random.default_rng(3)
POOL = RNG.integers(0, 256, (24, 16, 16, 3), np.uint8)


def exits(thresholds, enabled=None, temperatures=None) -> Policy:
    count = len(thresholds)
    return Policy(
        thresholds=tuple(thresholds),
        enabled=tuple(enabled or [True] * count),
        temperatures=tuple(temperatures or [1.0] * count),
    )


def assert_equals_one_by_one(results, one, images, chosen):
    """The same bits as the harness that takes one image at a time."""
    assert len(results.classes) == len(images)
    costs = np.cumsum([facts.madds for facts in one.bundle.segments])
    for i, image in enumerate(images):
        expected = one.run(image, chosen)
        assert results.exits[i] == expected.exit
        assert results.classes[i] == expected.index
        assert results.madds[i] == costs[expected.exit]
        np.testing.assert_array_equal(
            results.probabilities[i], expected.probabilities
        )


@pytest.fixture(scope="module")
def directory(tmp_path_factory, write_bundle, segments):
    path = tmp_path_factory.mktemp("bundle")
    write_bundle(path, segments, madds=[1000, 20, 3])
    return str(path)


@pytest.fixture(scope="module")
def one(directory):
    return harness.Harness(directory)


@pytest.fixture(scope="module")
def many(directory):
    return {
        size: batch_harness.BatchHarness(directory, size) for size in (1, 3, 8)
    }


LEARNED = Scheduler(
    [RNG.normal(0.0, 0.5, 7 + k).tolist() for k in range(3)], [0.5, 0.4, 0.5]
)


def of_kind(chosen, kind):
    learned = LEARNED if kind == "scheduler" else None
    return dataclasses.replace(chosen, kind=kind, scheduler=learned)


POLICIES = st.builds(
    of_kind,
    st.builds(
        exits,
        st.tuples(st.floats(0, 1), st.floats(0, 1), st.just(0.0)),
        st.tuples(st.booleans(), st.booleans(), st.just(True)),
        st.tuples(*[st.floats(0.05, 4.0)] * 3),
    ),
    st.sampled_from(KINDS),
)


@settings(max_examples=120)
@given(
    rows=st.lists(st.integers(0, len(POOL) - 1), max_size=30),
    chosen=POLICIES,
    size=st.sampled_from([1, 3, 8]),
)
def test_equals_one_image_at_a_time(one, many, rows, chosen, size):
    images = POOL[rows]
    results = many[size].run(images, chosen)
    assert_equals_one_by_one(results, one, images, chosen)


def test_images_leave_at_every_exit(one, many):
    first = [
        one.run(image, exits([0.0, 0.0, 0.0])).probabilities.max()
        for image in POOL
    ]
    second = [
        one.run(
            image, exits([0.0, 0.0, 0.0], [False, True, True])
        ).probabilities.max()
        for image in POOL
    ]
    chosen = exits([np.quantile(first, 0.7), np.quantile(second, 0.4), 0.0])
    for harnesses in many.values():
        results = harnesses.run(POOL, chosen)
        assert set(results.exits) == {0, 1, 2}
        assert_equals_one_by_one(results, one, POOL, chosen)


def test_results_are_plain_arrays(many):
    results = many[8].run(POOL)
    assert results.classes.shape == results.exits.shape == (24,)
    assert results.probabilities.shape == (24, 5)
    assert results.probabilities.dtype == np.float64
    for values in (results.classes, results.exits, results.madds):
        assert values.dtype == np.int64


def test_the_bundle_s_policy_is_the_default(one, many):
    results = many[3].run(POOL)
    assert_equals_one_by_one(results, one, POOL, one.bundle.policy)


def test_batches_stay_full_behind_an_exit(directory, monkeypatch):
    """The survivors of several batches share one."""
    sizes = [[], [], []]
    run = batch_harness._Segment.run
    opened = batch_harness.BatchHarness(directory, 4)
    numbers = {id(each): k for k, each in enumerate(opened._segments)}

    def counted(self, tensors, runs):
        sizes[numbers[id(self)]].append(len(next(iter(tensors.values()))))
        return run(self, tensors, runs)

    monkeypatch.setattr(batch_harness._Segment, "run", counted)
    middle = np.median(
        opened.run(POOL, exits([0.0, 0.0, 0.0])).probabilities.max(axis=1)
    )
    for each in sizes:
        each.clear()
    results = opened.run(POOL, exits([middle, 1.0, 0.0]))
    survivors = np.count_nonzero(results.exits > 0)
    assert 4 < survivors < len(POOL)
    assert sizes[0] == [4] * 6
    for k in (1, 2):
        assert sizes[k][:-1] == [4] * (len(sizes[k]) - 1)
        assert sum(sizes[k]) == survivors


def test_every_segment_takes_batches(directory):
    opened = batch_harness.BatchHarness(directory, 8)
    opened.run(POOL, exits([1.0, 1.0, 0.0]))
    assert all(each._takes_batches for each in opened._segments)


def test_no_images_give_no_results(many):
    results = many[3].run(POOL[:0])
    assert results.probabilities.shape == (0, 5)
    assert results.classes.shape == results.madds.shape == (0,)


def test_any_memory_layout_is_taken(one, many):
    turned = np.asfortranarray(POOL)
    mirrored = POOL[:, :, ::-1].copy()[:, :, ::-1]
    for images in (turned, mirrored, POOL[::2]):
        results = many[8].run(images)
        assert_equals_one_by_one(results, one, images, one.bundle.policy)


def test_float_models_too(tmp_path, float_model, write_bundle):
    facts = bundle.InputFacts((16, 16, 3), "float32", 1 / 255, 0)
    write_bundle(tmp_path, split.split(float_model), input=facts)
    one = harness.Harness(str(tmp_path))
    for size in (1, 5, 24):
        many = batch_harness.BatchHarness(str(tmp_path), size)
        for chosen in (exits([0.25, 0.25, 0.0]), exits([1.0, 1.0, 0.0])):
            results = many.run(POOL, chosen)
            assert_equals_one_by_one(results, one, POOL, chosen)


def flat(graph: TinyGraph, image: int) -> int:
    shape = graph.constant(np.array([1, 192], np.int32))
    like = graph.tensor([1, 192])
    return graph.run("RESHAPE", [image, shape], like=like, newShape=[1, 192])


def mixed(graph: TinyGraph, image: int) -> int:
    """Adds the mean over all images of a batch."""
    axis = graph.constant(np.array([0], np.int32))
    mean = graph.run("MEAN", [image, axis], like=image, keepDims=True)
    return graph.run("ADD", [image, mean], like=image)


@pytest.mark.parametrize("operator", [flat, mixed])
def test_what_takes_no_batch_runs_one_by_one(tmp_path, write_bundle, operator):
    graph = TinyGraph()
    image = graph.tensor([1, 8, 8, 3], name="image")
    hidden = operator(graph, image)
    weights = graph.constant(RNG.normal(size=(5, 192)).astype(np.float32))
    bias = graph.constant(np.zeros(5, np.float32))
    like = graph.tensor([1, 5])
    logits = graph.run(
        "FULLY_CONNECTED", [hidden, weights, bias], like=like, name="exit_0"
    )
    model = graph.write([image], [logits], {"image": image, "exit_0": logits})
    model_file.verify(model)
    write_bundle(
        tmp_path,
        split.split(model),
        input=bundle.InputFacts((8, 8, 3), "float32", 1 / 255, 0),
    )
    images = RNG.integers(0, 256, (7, 8, 8, 3), np.uint8)
    one = harness.Harness(str(tmp_path))
    many = batch_harness.BatchHarness(str(tmp_path), 3)
    for _ in range(2):
        results = many.run(images)
        assert_equals_one_by_one(results, one, images, exits([0.0]))
    assert [each._takes_batches for each in many._segments] == [False]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 16, 16, 3)), "uint8 pixels. Received: float64"),
        (np.zeros((2, 16, 16, 3), np.int8), "Received: int8"),
        (list(POOL), "Received: list"),
        (None, "Received: NoneType"),
        (POOL[0], r"\(N, 16, 16, 3\). Received: \(16, 16, 3\)"),
        (POOL[:, :15], r"Received: \(24, 15, 16, 3\)"),
        (POOL[..., :1], r"Received: \(24, 16, 16, 1\)"),
    ],
)
def test_bad_images_are_refused(many, images, message):
    with pytest.raises(ValueError, match=f"`images` must.*{message}"):
        many[3].run(images)


@pytest.mark.parametrize("size", [0, -1, 2.0, "8", None])
def test_batch_size_is_checked(directory, size):
    with pytest.raises(ValueError, match="`batch_size`"):
        batch_harness.BatchHarness(directory, size)


def test_policy_must_fit(many):
    with pytest.raises(ValueError, match="`policy`"):
        many[3].run(POOL, exits([0.5, 0.0]))


def test_a_damaged_segment_is_found_at_once(tmp_path, write_bundle, segments):
    write_bundle(tmp_path, segments)
    path = tmp_path / "exit_2.tflite"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(bundle.InvalidBundle, match="SHA-256"):
        batch_harness.BatchHarness(str(tmp_path))


def test_the_directory_is_not_needed_afterwards(
    tmp_path, write_bundle, segments
):
    write_bundle(tmp_path, segments)
    opened = batch_harness.BatchHarness(str(tmp_path), 8)
    for path in tmp_path.iterdir():
        path.unlink()
    assert len(opened.run(POOL, exits([1.0, 1.0, 0.0])).exits) == len(POOL)
