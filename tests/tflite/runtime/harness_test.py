import dataclasses

import numpy as np
import pytest

from keras_dynamic.exits import KINDS, Scheduler, max_probability
from keras_dynamic.exits.decision.policy import Policy
from tflite import bundle
from tflite.cutting import split
from tflite.runtime import harness, interpreter


def images(count: int, size: int = 16) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, size, size, 3), np.uint8)


def exits(thresholds, enabled=None, temperatures=None) -> Policy:
    count = len(thresholds)
    return Policy(
        thresholds=tuple(thresholds),
        enabled=tuple(enabled or [True] * count),
        temperatures=tuple(temperatures or [1.0] * count),
    )


@pytest.fixture
def directory(tmp_path, write_bundle, segments):
    write_bundle(tmp_path / "bundle", segments)
    return tmp_path / "bundle"


@pytest.fixture
def opened(directory):
    with harness.Harness(str(directory)) as each:
        yield each


def test_logits_equal_the_whole(opened, int8_model, segments, run_whole):
    for image in images(10):
        pixels = (image.astype(np.int16) - 128).astype(np.int8)
        whole = run_whole(int8_model, {"image": pixels[np.newaxis]})
        logits = opened.logits(image)
        assert len(logits) == 3
        for segment, values in zip(segments, logits, strict=True):
            assert values.dtype == np.int8
            np.testing.assert_array_equal(values, whole[segment.output][0])


def test_float_logits_equal_the_whole(
    tmp_path, float_model, write_bundle, run_whole
):
    segments = split.split(float_model)
    facts = bundle.InputFacts((16, 16, 3), "float32", 1 / 255, 0)
    write_bundle(tmp_path, segments, input=facts)
    with harness.Harness(str(tmp_path)) as opened:
        for image in images(5):
            pixels = image[np.newaxis] * np.float32(1 / 255)
            whole = run_whole(float_model, {"image": pixels})
            for k, values in enumerate(opened.logits(image)):
                expected = whole[segments[k].output][0]
                np.testing.assert_array_equal(values, expected)
                assert opened.dequantize(k, values) == pytest.approx(expected)


def test_dequantize_uses_the_tensor_s_scale(opened, segments):
    for k, logits in enumerate(opened.logits(images(1)[0])):
        details = interpreter.load(segments[k].model).get_output_details()[0]
        scale, zero_point = details["quantization"]
        expected = scale * (logits.astype(float) - zero_point)
        np.testing.assert_array_equal(opened.dequantize(k, logits), expected)


def test_images_stop_where_the_policy_lets_them(opened):
    batch = images(30)
    full = [opened.logits(image) for image in batch]
    logits = [
        np.stack([opened.dequantize(k, each[k]) for each in full])
        for k in range(3)
    ]
    temperatures = [0.5, 1.5, 2.0]
    sure = list(map(max_probability, logits, temperatures))
    halves = np.median(sure[:2], axis=1).tolist()
    chosen = exits([*halves, 0.0], temperatures=temperatures)
    expected = chosen.route(logits)
    assert set(expected) == {0, 1, 2}
    for image, stop, *scores in zip(batch, expected, *logits, strict=True):
        result = opened.run(image, chosen)
        assert result.exit == stop
        assert len(result.segment_ms) == stop + 1
        assert min(result.segment_ms) > 0
        powers = np.exp(scores[stop] / chosen.temperatures[stop])
        np.testing.assert_allclose(
            result.probabilities, powers / powers.sum(), rtol=1e-9
        )
        assert result.index == np.argmax(scores[stop])
        assert result.label == opened.bundle.labels[result.index]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("enabled", [(1, 1, 1), (0, 1, 1), (1, 0, 1)])
def test_every_kind_decides_as_in_simulation(opened, kind, enabled):
    batch = images(30)
    full = [opened.logits(image) for image in batch]
    logits = [
        np.stack([opened.dequantize(k, each[k]) for each in full])
        for k in range(3)
    ]
    learned = None
    if kind == "scheduler":
        rng = np.random.default_rng(0)
        learned = Scheduler(
            [rng.normal(0.0, 0.1, 7 + k).tolist() for k in range(3)], [0.5] * 3
        )
    chosen = exits([0.0] * 3, map(bool, enabled), [0.5, 0.8, 1.0])
    chosen = dataclasses.replace(chosen, kind=kind, scheduler=learned)
    # Thresholds that some image meets exactly: one bit decides.
    bars = np.sort(chosen.scores(logits)[:2], axis=1)[:, 15].tolist()
    if kind == "patience":  # No exit before the first can agree with it.
        bars[0] = 0.5
    chosen = dataclasses.replace(chosen, thresholds=(*bars, 0.0))
    expected = chosen.route(logits)
    if kind != "patience":
        assert len(set(expected)) > 1
    assert [opened.run(image, chosen).exit for image in batch] == list(expected)


def test_a_disabled_exit_stops_nobody(opened):
    image = images(1)[0]
    assert opened.run(image, exits([0.0, 0.0, 0.0])).exit == 0
    off = exits([0.0, 0.0, 0.0], enabled=[False, True, True])
    assert opened.run(image, off).exit == 1
    assert opened.run(image).exit == 2


def test_classify_uses_the_bundle_s_policy(tmp_path, write_bundle, segments):
    write_bundle(tmp_path, segments, policy=exits([1.0, 0.0, 0.0]))
    with harness.Harness(str(tmp_path)) as opened:
        assert opened.classify(images(1)[0]).exit == 1


def test_no_image_leaves_traces_in_the_next(opened, directory):
    batch = images(4)
    for image in [*batch, *batch[::-1]]:
        opened.run(image, exits([0.3, 0.3, 0.0]))
        with harness.Harness(str(directory)) as fresh:
            for ours, theirs in zip(
                opened.logits(image), fresh.logits(image), strict=True
            ):
                np.testing.assert_array_equal(ours, theirs)


def test_any_memory_layout_is_taken(opened):
    image = images(1)[0]
    turned = np.asfortranarray(image)
    mirrored = image[:, ::-1].copy()[:, ::-1]
    expected = opened.logits(image)
    for other in (turned, mirrored):
        for ours, theirs in zip(opened.logits(other), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((16, 16, 3)), "uint8 pixels. Received: float64"),
        (np.full((16, 16, 3), np.nan, np.float32), "Received: float32"),
        (np.zeros((16, 16, 3), np.int8), "Received: int8"),
        (np.zeros((16, 16, 3), np.int64), "Received: int64"),
        ([[[0, 0, 0]]], "Received: list"),
        (None, "Received: NoneType"),
        ("cat.jpg", "Received: str"),
        (np.zeros((15, 16, 3), np.uint8), r"\(16, 16, 3\).*\(15, 16, 3\)"),
        (np.zeros((16, 16), np.uint8), r"\(16, 16\)"),
        (np.zeros((16, 16, 1), np.uint8), r"\(16, 16, 1\)"),
        (np.zeros((16, 16, 4), np.uint8), r"\(16, 16, 4\)"),
        (np.zeros((1, 16, 16, 3), np.uint8), r"\(1, 16, 16, 3\)"),
        (np.zeros((0, 16, 3), np.uint8), r"\(0, 16, 3\)"),
    ],
)
def test_bad_images_are_refused(opened, image, message):
    for method in (opened.classify, opened.run, opened.logits):
        with pytest.raises(ValueError, match=f"`image` must.*{message}"):
            method(image)
    assert opened.classify(images(1)[0]).label


def test_policy_must_fit(opened):
    with pytest.raises(ValueError, match="`policy`"):
        opened.run(images(1)[0], exits([0.5, 0.0]))


def test_threads_are_checked(directory):
    assert harness.Harness(str(directory), threads=2).logits(images(1)[0])
    with pytest.raises(ValueError, match="`threads`"):
        harness.Harness(str(directory), threads=0)


def test_closed_is_closed(directory):
    image = images(1)[0]
    opened = harness.Harness(str(directory))
    with opened:
        assert opened.classify(image).label
    opened.close()
    opened.close()
    for method in (opened.classify, opened.run, opened.logits, opened.stream):
        with pytest.raises(ValueError, match="`harness`"):
            list(method(image[None] if method == opened.stream else image))
    with pytest.raises(ValueError, match="`harness`"):
        opened.warm_up()
    with pytest.raises(ValueError, match="`harness`"):
        opened.classify_batch(image[None])


def test_what_was_begun_before_the_next_image_is_given_up(opened):
    first, second = images(2)
    running = opened.exits(first)
    next(running)
    expected = opened.logits(second)
    with pytest.raises(ValueError, match="`image`"):
        next(running)
    np.testing.assert_array_equal(opened.logits(second), expected)
    running = opened.exits(first)
    next(running)
    opened.warm_up()
    with pytest.raises(ValueError, match="`image`"):
        next(running)


def test_warm_up_loads_all_and_changes_nothing(opened):
    image = images(1)[0]
    expected = opened.run(image).probabilities
    opened.warm_up()
    assert len(opened._own.chain._stages) == 3
    np.testing.assert_array_equal(opened.run(image).probabilities, expected)


def test_a_batch_gives_what_its_images_give(opened):
    batch = images(7)
    many = opened.classify_batch(batch, batch_size=3)
    for i, image in enumerate(batch):
        one = opened.classify(image)
        assert (many.classes[i], many.exits[i]) == (one.index, one.exit)
        np.testing.assert_array_equal(many.probabilities[i], one.probabilities)
    with pytest.raises(ValueError, match="`batch_size`"):
        opened.classify_batch(batch, batch_size=0)


def test_options_reach_the_interpreters(directory):
    image = images(1)[0]
    with harness.Harness(str(directory), xnnpack=False) as plain:
        names = [
            each["op_name"]
            for stage in [plain._own.chain.stage(place) for place in range(3)]
            for each in stage.interpreter._get_ops_details()
        ]
        assert "CONV_2D" in names and "DELEGATE" not in names
        assert plain.classify(image).label
    for change in ({"threads": 0}, {"delegate": "no/such/file.so"}):
        with pytest.raises(ValueError, match=f"`{next(iter(change))}` must"):
            harness.Harness(str(directory), **change)
