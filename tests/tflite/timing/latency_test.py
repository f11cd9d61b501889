import numpy as np
import pytest

from tflite.runtime import harness
from tflite.timing import latency
from tflite.timing.contestants import Call

IMAGES = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)


class Calls(list):
    """Contestants that note who was called with which image."""

    def runners(self, *names: str) -> dict:
        def runner(name):
            def run(image):
                self.append((name, int(image.item())))
                return Call([image], 3.0 + image.item(), (0.5, 1.0), (1.0, 2.0))

            return run

        return {name: runner(name) for name in names}


def measure(calls: Calls, **changes) -> latency.Rounds:
    arguments = {"warmup": 2, "runs": 7, "seed": 0} | changes
    images = arguments.pop("images", IMAGES)
    return latency.measure(calls.runners("a", "b", "c"), images, **arguments)


@pytest.mark.parametrize("warmup", [0, 2, 20])
def test_what_comes_back(warmup):
    calls = Calls()
    rounds = measure(calls, warmup=warmup)
    assert set(rounds.times) == {"a", "b", "c"}
    for times in rounds.times.values():
        np.testing.assert_array_equal(times.call, 3.0 + rounds.images)
        np.testing.assert_array_equal(times.kernel, [1.5] * 7)
        np.testing.assert_array_equal(times.segments, [[1.0, 2.0]] * 7)
        np.testing.assert_array_equal(times.segment_kernels, [[0.5, 1.0]] * 7)
        np.testing.assert_array_equal(times.kernel + times.harness, times.call)
    # The rounds before are run, and not counted.
    assert len(calls) == 3 * (7 + warmup)


def test_in_each_round_all_see_one_image():
    calls = Calls()
    rounds = measure(calls, warmup=2)
    for i in range(9):
        who, which = zip(*calls[3 * i : 3 * i + 3], strict=True)
        assert sorted(who) == ["a", "b", "c"]
        assert len(set(which)) == 1
        if i >= 2:
            assert which[0] == rounds.images[i - 2]


def test_all_images_come_before_one_comes_again():
    shown = measure(Calls(), warmup=0, runs=9).images.reshape(3, 3)
    for each in shown:
        assert sorted(each) == [0, 1, 2]


def orders(seed: int, rounds: int = 300) -> list[tuple[str, ...]]:
    calls = Calls()
    measure(calls, warmup=0, runs=rounds, seed=seed)
    names = [name for name, _ in calls]
    return [tuple(names[i : i + 3]) for i in range(0, len(names), 3)]


def test_the_order_is_random_and_the_seed_s():
    found = orders(5)
    assert found == orders(5) != orders(6)
    # Each of the six orders about as often as any other.
    counts = [found.count(each) for each in set(found)]
    assert len(counts) == 6
    assert min(counts) > 25


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


class Chain:
    """Stands for the harness; counts its images."""

    def __init__(self):
        self.images = 0

    def exits(self, image):
        self.images += 1
        yield harness.Reached(None, (0.25,), (True,), 1)
        yield harness.Reached(None, (0.0, 0.5), (False, True), 2)


@pytest.mark.parametrize("warmup", [0, 2, 20])
def test_the_chain_alone(warmup):
    chain = Chain()
    times = latency.exit_times(chain, IMAGES, warmup=warmup, runs=7)
    np.testing.assert_array_equal(times, [[0.25, 0.75]] * 7)
    assert chain.images == 7 + warmup
    with pytest.raises(ValueError, match="runs=0"):
        latency.exit_times(chain, IMAGES, warmup=0, runs=0)


def test_summary():
    found = latency.summary(np.arange(101.0)[::-1] ** 2)
    assert found == {
        "mean": 3350.0,
        "p50": 2500.0,
        "p90": 8100.0,
        "p99": 9801.0,
    }
    assert all(type(value) is float for value in found.values())
