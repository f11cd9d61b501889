import dataclasses
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tiny_chain
from tiny_graph import TinyGraph

from keras_dynamic.exits import KINDS, Scheduler, max_probability, policy
from tflite import bundle, flatbuffer, harness, interpreter, split
from tflite.logits import Logits


def images(count: int, size: int = 16) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, size, size, 3), np.uint8)


def exits(thresholds, enabled=None, temperatures=None) -> policy.Policy:
    count = len(thresholds)
    return policy.Policy(
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
    with pytest.raises(ValueError, match="`policy` must have 3 exits"):
        opened.run(images(1)[0], exits([0.5, 0.0]))


def test_threads_are_checked(directory):
    assert harness.Harness(str(directory), threads=2).logits(images(1)[0])
    with pytest.raises(ValueError, match="`threads`"):
        harness.Harness(str(directory), threads=0)


def forge(directory, exit: int, model: bytes) -> None:
    """Replaces a segment and adjusts the manifest to it."""
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text())
    facts = manifest["segments"][exit]
    facts["sha256"] = hashlib.sha256(model).hexdigest()
    facts["bytes"] = len(model)
    (directory / facts["file"]).write_bytes(model)
    path.write_text(json.dumps(manifest))


def test_a_changed_byte_is_found_before_use(directory):
    path = directory / "exit_2.tflite"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with harness.Harness(str(directory)) as opened:
        image = images(1)[0]
        # The segment is read when an image first gets there.
        assert opened.run(image, exits([0.0, 0.0, 0.0])).exit == 0
        assert opened.run(image, exits([1.0, 0.0, 0.0])).exit == 1
        for _ in range(2):
            with pytest.raises(bundle.InvalidBundle, match="SHA-256"):
                opened.logits(image)
    path = directory / "exit_0.tflite"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(bundle.InvalidBundle, match="SHA-256"):
        harness.Harness(str(directory))


@pytest.mark.parametrize("model", [b"", b"no model", None])
def test_an_honest_hash_of_half_a_model_does_not_help(directory, model):
    original = (directory / "exit_0.tflite").read_bytes()
    forge(directory, 0, original[:900] if model is None else model)
    with pytest.raises(flatbuffer.InvalidModel, match=r"exit_0\.tflite"):
        harness.Harness(str(directory))


def test_both_sides_of_a_cut_must_agree(directory, segments):
    sound = flatbuffer.read(segments[1].model)
    (graph,) = sound.subgraphs
    # A convolution reads it, which takes any scale and zero point.
    tensor = graph.tensors[graph.inputs[0]]
    scale, zero_point = tensor.quantization.scale, tensor.quantization.zeroPoint

    def refuse(message):
        forge(directory, 1, flatbuffer.write(sound))
        opened = harness.Harness(str(directory))
        with pytest.raises(bundle.InvalidBundle, match=message):
            opened.logits(images(1)[0])

    tensor.quantization.scale = scale * np.float32(1.01)
    refuse("scale and zero point of what feeds it")
    tensor.quantization.scale = scale
    tensor.quantization.zeroPoint = zero_point + 1
    refuse("scale and zero point of what feeds it")
    tensor.quantization.zeroPoint = zero_point
    sound.signatureDefs[0].inputs[0].name = b"another"
    refuse("must have the inputs")
    sound.signatureDefs = []
    refuse("must have one signature")


def test_what_the_interpreter_refuses_is_named(directory, segments):
    model = flatbuffer.read(segments[1].model)
    model.operatorCodes[0].version = 99
    forge(directory, 1, flatbuffer.write(model))
    with pytest.raises(bundle.InvalidBundle, match=r"`exit_1\.tflite`.*'99'"):
        harness.Harness(str(directory)).logits(images(1)[0])


def test_the_image_s_tensor_must_be_the_manifest_s(
    tmp_path, write_bundle, segments
):
    facts = bundle.InputFacts((16, 32, 3))
    write_bundle(tmp_path / "a", segments, input=facts)
    facts = bundle.InputFacts((16, 16, 3), scale=1.001 / 255)
    write_bundle(tmp_path / "b", segments, input=facts)
    for name in ("a", "b"):
        with pytest.raises(bundle.InvalidBundle, match="'image' must have"):
            harness.Harness(str(tmp_path / name))


def test_labels_must_match_the_logits(tmp_path, write_bundle, segments):
    write_bundle(tmp_path, segments, labels=["a", "b"])
    with pytest.raises(bundle.InvalidBundle, match="2 labels"):
        harness.Harness(str(tmp_path))


def test_a_directory_without_bundle_is_refused(tmp_path):
    with pytest.raises(bundle.InvalidBundle, match=r"manifest\.json"):
        harness.Harness(str(tmp_path))


def test_closed_is_closed(directory):
    image = images(1)[0]
    opened = harness.Harness(str(directory))
    with opened:
        assert opened.classify(image).label
    opened.close()
    opened.close()
    for method in (opened.classify, opened.run, opened.logits, opened.stream):
        with pytest.raises(ValueError, match="`harness` must be open"):
            list(method(image[None] if method == opened.stream else image))
    with pytest.raises(ValueError, match="`harness` must be open"):
        opened.warm_up()
    with pytest.raises(ValueError, match="`harness` must be open"):
        opened.classify_batch(image[None])


def test_what_was_begun_before_the_next_image_is_given_up(opened):
    first, second = images(2)
    running = opened.exits(first)
    next(running)
    expected = opened.logits(second)
    with pytest.raises(ValueError, match="`image` must be done, or given up"):
        next(running)
    np.testing.assert_array_equal(opened.logits(second), expected)
    running = opened.exits(first)
    next(running)
    opened.warm_up()
    with pytest.raises(ValueError, match="`image` must be done, or given up"):
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
    with pytest.raises(ValueError, match="`batch_size` must be"):
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


class Counted:
    """Stands for an input's memory, and counts what is written into it."""

    def __init__(self, view):
        self.view = view
        self.bytes = 0

    def __setitem__(self, where, source):
        self.view[where] = source
        self.bytes += len(source)


@pytest.fixture
def counting(tmp_path, write_bundle):
    """Opens a bundle of small segments; returns it and its inputs."""

    def count(segments):
        write_bundle(tmp_path, segments, input=tiny_chain.INPUT)
        opened = harness.Harness(str(tmp_path))
        opened.warm_up()
        loaded, counts = opened._own.chain._stages, []
        for place, stage in enumerate(loaded):
            fed = [
                feed._replace(view=Counted(feed.view)) for feed in stage.feeds
            ]
            loaded[place] = stage._replace(feeds=tuple(fed))
            counts.append([feed.view for feed in fed])
        return opened, counts

    return count


def sums(counts) -> list[int]:
    return [sum(each.bytes for each in views) for views in counts]


def test_each_tensor_moves_once_for_whoever_reads_it(counting):
    opened, counts = counting(tiny_chain.segments(3))
    wide = 4 * 48  # Bytes between two segments.
    image = tiny_chain.images(1)[0]
    assert opened.run(image, exits([0.0, 0.0, 0.0])).exit == 0
    # Nobody needed what the first segment has for the second one.
    assert sums(counts) == [0, 0, 0]
    assert opened.run(image, exits([1.0, 0.0, 0.0])).exit == 1
    assert sums(counts) == [0, wide, 0]
    opened.run(image)
    assert sums(counts) == [0, 2 * wide, wide]


def test_the_image_is_written_where_the_first_segment_has_it(counting):
    opened, counts = counting(tiny_chain.segments(3))
    image = tiny_chain.images(1)[0]
    opened.run(image)
    memory = opened._own.chain._image
    np.testing.assert_array_equal(memory, image * np.float32(1 / 255))
    assert counts[0] == []


def test_an_image_that_two_segments_read(counting, run_chain):
    segments = tiny_chain.segments(3, rereads=True)
    assert "image" in segments[2].inputs
    opened, counts = counting(segments)
    for image in tiny_chain.images(5):
        pixels = image[np.newaxis] * np.float32(1 / 255)
        expected = run_chain(segments, {"image": pixels})
        for segment, logits in zip(segments, opened.logits(image), strict=True):
            np.testing.assert_array_equal(logits, expected[segment.output][0])
    assert [len(views) for views in counts] == [1, 1, 2]


def test_logits_that_nobody_asks_for_are_not_read(counting, monkeypatch):
    opened, _ = counting(tiny_chain.segments(3))
    read = []
    numbers = Logits.numbers
    monkeypatch.setattr(
        Logits, "numbers", lambda each: read.append(each) or numbers(each)
    )
    opened.run(tiny_chain.images(1)[0])
    assert read == [opened._own.chain._stages[2].logits]


def test_a_manifest_cannot_ask_for_much_memory(directory):
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text())
    for size in (2**62, 2**80):
        manifest["segments"][0]["bytes"] = size
        path.write_text(json.dumps(manifest))
        with pytest.raises(bundle.InvalidBundle, match=f"{size} bytes"):
            harness.Harness(str(directory))
    path.write_bytes(b" " * (2**23 + 1))
    with pytest.raises(bundle.InvalidBundle, match="at most 8388608 bytes"):
        harness.Harness(str(directory))


def test_what_is_no_file_is_refused(directory):
    (directory / "exit_0.tflite").unlink()
    os.mkfifo(directory / "exit_0.tflite")  # To open it would take for ever.
    with pytest.raises(bundle.InvalidBundle, match=r"exit_0.*not a file"):
        harness.Harness(str(directory))


PEAK = """
import sys
import numpy as np
from tflite import harness

with harness.Harness(sys.argv[1]) as opened:
    for _ in range(20):
        opened.logits(np.zeros((8, 8, 3), np.uint8))
with open("/proc/self/status") as status:
    peak = [line for line in status if line.startswith("VmHWM")]
print(int(peak[0].split()[1]) / 1024)
"""


@pytest.mark.skipif(
    not os.path.exists("/proc/self/status"), reason="needs Linux's /proc"
)
def test_four_segments_stay_below_100_mb(tmp_path, write_bundle):
    """Four float segments of 150 kB each; a quarter of them is the runtime."""
    rng = np.random.default_rng(0)
    graph = TinyGraph()
    image = graph.tensor([1, 8, 8, 3], name="image")
    hidden, outputs = image, []
    like = graph.tensor([1, 192])
    few = graph.tensor([1, 5])
    for _ in range(4):
        square = rng.normal(size=(192, 192)).astype(np.float32) / 14
        weights = graph.constant(square)
        hidden = graph.run("FULLY_CONNECTED", [hidden, weights, -1], like=like)
        head = graph.constant(square[:5].copy())
        outputs.append(
            graph.run("FULLY_CONNECTED", [hidden, head, -1], like=few)
        )
    names = {"image": image} | {f"exit_{k}": t for k, t in enumerate(outputs)}
    segments = split.split(graph.write([image], outputs, names))
    assert all(len(s.model) > 147_000 for s in segments)
    facts = bundle.InputFacts((8, 8, 3), "float32", 1 / 255, 0)
    write_bundle(tmp_path, segments, input=facts)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path)],
        stdout=subprocess.PIPE,
        check=True,
    )
    assert 10 < float(done.stdout) < 100
