import numpy as np
import pytest

from tflite import harness, latency, unsplit

IMAGES = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)


class Calls:
    """Stands for the harness and for the unsplit model; notes each call."""

    def __init__(self):
        self.made = []

    def exits(self, image):
        self.made.append(("chain", int(image.item())))
        yield harness.Reached(None, (0.25,), (True,), 1)
        yield harness.Reached(None, (0.0, 0.5), (False, True), 2)

    def classify(self, image):
        self.made.append(("routed", int(image.item())))

    def logits(self, image):
        self.made.append(("unsplit", int(image.item())))


def measure(calls: Calls, **changes) -> latency.Times:
    arguments = {"images": IMAGES, "warmup": 2, "runs": 7} | changes
    return latency.measure(calls, calls, **arguments)


@pytest.mark.parametrize("warmup", [0, 2, 20])
def test_what_comes_back(warmup):
    calls = Calls()
    times = measure(calls, warmup=warmup)
    assert times.images.tolist() == [0, 1, 2, 0, 1, 2, 0]
    for spent in (times.chain, times.unsplit, times.routed):
        assert spent.shape == (7,)
        assert (spent > 0.0).all()
    # The segments' own times, not those of the rounds.
    np.testing.assert_array_equal(times.segments, [[0.25, 0.0, 0.5]] * 7)
    # The rounds before are run, and not counted.
    assert len(calls.made) == 3 * (7 + warmup)


def test_in_each_round_the_three_see_one_image():
    calls = Calls()
    times = measure(calls, warmup=2)
    for i in range(9):
        who, which = zip(*calls.made[3 * i : 3 * i + 3], strict=True)
        assert set(who) == {"chain", "unsplit", "routed"}
        assert len(set(which)) == 1
        if i >= 2:
            assert which[0] == times.images[i - 2]


def test_each_begins_a_round_in_its_turn():
    calls = Calls()
    measure(calls, warmup=0, runs=6)
    first = [who for who, _ in calls.made[::3]]
    assert sorted(first[:3]) == ["chain", "routed", "unsplit"]
    assert first[:3] == first[3:]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runs": 0}, "Received: runs=0"),
        ({"warmup": -1}, "warmup=-1"),
        ({"images": IMAGES[:0]}, "0 images"),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        measure(Calls(), **changes)


@pytest.mark.parametrize("warmup", [0, 2, 20])
def test_the_chain_alone(warmup):
    calls = Calls()
    times = latency.exit_times(calls, IMAGES, warmup=warmup, runs=7)
    np.testing.assert_array_equal(times, [[0.25, 0.75]] * 7)
    assert len(calls.made) == 7 + warmup
    with pytest.raises(ValueError, match="runs=0"):
        latency.exit_times(calls, IMAGES, warmup=0, runs=0)


def test_summary():
    found = latency.summary(np.arange(101.0)[::-1] ** 2)
    assert found == {
        "mean": 3350.0,
        "p50": 2500.0,
        "p90": 8100.0,
        "p99": 9801.0,
    }
    assert all(type(value) is float for value in found.values())


def renamed(model: bytes) -> bytes:
    """The converter's model with the names that our own one has."""
    from tflite import flatbuffer

    contents = flatbuffer.read(model)
    for k, entry in enumerate(contents.signatureDefs[0].outputs):
        entry.name = f"exit_{k}"
    return flatbuffer.write(contents)


def test_a_real_bundle(tmp_path, write_bundle, segments, int8_model):
    write_bundle(tmp_path / "bundle", segments)
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    with harness.Harness(str(tmp_path / "bundle")) as opened:
        times = latency.measure(
            opened,
            unsplit.Unsplit(renamed(int8_model)),
            images,
            warmup=1,
            runs=3,
        )
    assert times.segments.shape == (3, 3)
    # The chain does all that its segments do.
    assert (times.segments.sum(axis=1) <= times.chain).all()
