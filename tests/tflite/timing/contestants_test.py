import numpy as np
import pytest

from keras_dynamic import exits
from tests.support import small_bundle
from tests.support.tiny_graph import TinyGraph
from tflite.runtime.harness import Harness
from tflite.runtime.whole_model import Unsplit
from tflite.timing import cold_start, latency
from tflite.timing.contestants import Contestant, WrongInput


def images(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    shape = (count, *small_bundle.SHAPE)
    return rng.integers(0, 256, shape, np.uint8)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """A bundle, and the model that it was cut from."""
    directory = tmp_path_factory.mktemp("contestants")
    small_bundle.write(directory / "bundle")
    (directory / "model.tflite").write_bytes(small_bundle.whole())
    return str(directory / "bundle"), str(directory / "model.tflite")


def test_chain_and_whole_give_the_same_logits(paths):
    chain = Contestant("chain", paths[0]).load()
    whole = Contestant("tflite", paths[1]).load()
    unsplit = Unsplit(small_bundle.whole())
    for image in images(10):
        expected = unsplit.logits(image)
        np.testing.assert_array_equal(chain(image).outputs, expected)
        np.testing.assert_array_equal(whole(image).outputs, expected)


def test_routed_answers_as_the_harness_does(paths, tmp_path):
    batch = images(30)
    with Harness(paths[0]) as harness:
        first = [harness.dequantize(0, harness.logits(i)[0]) for i in batch]
    # Half of the images leave at the first exit, the others at the second.
    half = float(np.median(exits.max_probability(np.array(first))))
    policy = exits.Policy(
        temperatures=(1.0,) * 3, thresholds=(half, 0, 0), enabled=(True,) * 3
    )
    small_bundle.write(tmp_path / "bundle", policy=policy)
    routed = Contestant("routed", str(tmp_path / "bundle")).load()
    stopped = set()
    with Harness(str(tmp_path / "bundle")) as harness:
        for image in batch:
            call, result = routed(image), harness.classify(image)
            [probabilities] = call.outputs
            np.testing.assert_array_equal(probabilities, result.probabilities)
            reached = [ms > 0 for ms in call.kernel_ms]
            assert reached == [k <= result.exit for k in range(3)]
            assert reached == [ms > 0 for ms in call.segment_ms]
            stopped.add(result.exit)
    assert stopped == {0, 1}


def test_kernels_are_a_part_of_segments_and_these_of_the_call(paths):
    for runtime in ("chain", "routed"):
        run = Contestant(runtime, paths[0]).load()
        for image in images(10):
            call = run(image)
            assert sum(call.segment_ms) < call.ms
            for kernel, segment in zip(
                call.kernel_ms, call.segment_ms, strict=True
            ):
                assert 0 < kernel < segment or kernel == segment == 0.0
    call = Contestant("tflite", paths[1]).load()(images(1)[0])
    assert 0 < call.kernel_ms[0] < call.ms
    assert call.segment_ms == (call.ms,)


def test_interleaved(paths):
    runners = {
        "chain": Contestant("chain", paths[0]).load(),
        "routed": Contestant("routed", paths[0]).load(),
        "unsplit": Contestant("tflite", paths[1], threads=2).load(),
    }
    rounds = latency.measure(runners, images(5), warmup=1, runs=8, seed=0)
    assert rounds.images.shape == (8,)
    for name, segments in (("chain", 3), ("routed", 3), ("unsplit", 1)):
        times = rounds.times[name]
        assert times.segments.shape == (8, segments)
        np.testing.assert_allclose(times.kernel + times.harness, times.call)
        assert (times.harness > 0).all()


def model(directory, dtype, shape=(1, 2, 2, 1)) -> str:
    """A .tflite model that doubles its input."""
    graph = TinyGraph()
    scale = None if dtype == np.float32 else 1.0
    image = graph.tensor(shape, dtype, scale=scale)
    doubled = graph.run("ADD", [image, image])
    path = directory / "model.tflite"
    path.write_bytes(graph.write([image], [doubled]))
    return str(path)


def test_pixels_as_each_type_of_input_has_them(tmp_path):
    pixels = np.array([0, 1, 128, 255], np.uint8).reshape(2, 2, 1)
    for dtype, expected in (
        (np.float32, pixels * np.float32(1 / 255)),
        (np.int8, pixels.astype(int) - 128),
    ):
        run = Contestant("tflite", model(tmp_path, dtype)).load()
        doubled = run(pixels).outputs[0]
        if dtype == np.float32:
            np.testing.assert_array_equal(doubled, 2 * expected)
        else:
            clipped = np.clip(2 * expected, -128, 127)
            np.testing.assert_array_equal(doubled, clipped)


def test_exits_come_in_order_of_their_numbers(tmp_path):
    names = [f"exit_{k}" for k in range(12)]
    path = tmp_path / "model.tflite"
    graph = TinyGraph()
    image = graph.tensor((1, 1, 1, 1), np.float32, name="image")
    made = [image]
    for _ in names:
        made.append(graph.run("ADD", [made[-1], image]))
    given = dict(zip(names, made[1:], strict=True))
    path.write_bytes(graph.write([image], made[1:], {"image": image} | given))
    outputs = (
        Contestant("tflite", str(path))
        .load()(np.full((1, 1, 1), 255, np.uint8))
        .outputs
    )
    assert np.ravel(outputs).tolist() == list(range(2, 14))


def test_what_cannot_take_an_image(tmp_path):
    with pytest.raises(WrongInput, match=r"one input of shape \[1, H, W, C\]"):
        Contestant("tflite", model(tmp_path, np.float32, (1, 4))).load()
    with pytest.raises(WrongInput, match="one of int8, uint8, float32"):
        Contestant("tflite", model(tmp_path, np.int32)).load()
    with pytest.raises(ValueError, match="`runtime`"):
        Contestant("tensorrt", "model")


def test_a_process_of_its_own(paths):
    for contestant in (
        Contestant("routed", paths[0]),
        Contestant("tflite", paths[1], threads=2),
    ):
        found = cold_start.measure(contestant, images(3), 1)
        assert found.load_ms > 0
        assert found.first_ms > 0
        # Not what this process has in memory.
        assert 1 < found.base_mib <= found.peak_mib < 200


def test_a_process_that_fails_says_why(paths, tmp_path):
    with pytest.raises(ValueError, match="No such file") as e:
        cold_start.measure(
            Contestant("tflite", str(tmp_path / "no")), images(1), 1
        )
    assert "must run in a process of its own" in str(e.value)
