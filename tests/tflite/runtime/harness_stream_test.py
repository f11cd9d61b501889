"""Streams and budgets, by a clock that only moves when a segment runs."""

import numpy as np
import pytest

from tests.support import tiny_chain
from tests.support.tiny_chain import images, policy_of
from tflite.runtime import harness, loaded_segment

SURE = policy_of([1.0, 1.0, 1.0, 0.0])


class Clock:
    """Tells a time that each segment moves by its milliseconds."""

    def __init__(self, costs):
        self.costs = list(costs)
        self.seconds = 100.0
        self.runs = [0] * len(self.costs)

    def __call__(self) -> float:
        return self.seconds

    def load(self, opened, place, sources, load=loaded_segment.load):
        stage = load(opened, place, sources)

        def run():
            stage.run()
            self.runs[place] += 1
            self.seconds += self.costs[place] / 1e3

        return stage._replace(run=run)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock([1.0, 2.0, 4.0, 8.0])
    monkeypatch.setattr(loaded_segment, "load", clock.load)
    return clock


@pytest.fixture
def opened(tmp_path, write_bundle, clock):
    write_bundle(
        tmp_path,
        tiny_chain.segments(4),
        input=tiny_chain.INPUT,
        policy=SURE,
        operating_points={"first": policy_of([0.0, 0.0, 0.0, 0.0])},
    )
    with harness.Harness(str(tmp_path), clock=clock) as each:
        yield each


@pytest.mark.parametrize(
    ("budget_ms", "exit"),
    [(0.01, 0), (2.9, 0), (3.1, 1), (6.9, 1), (7.1, 2), (14.9, 2), (15.1, 3)],
)
def test_an_image_goes_as_far_as_its_milliseconds(opened, budget_ms, exit):
    for result in opened.stream(images(5), budget_ms=budget_ms):
        assert result.exit == exit
        assert result.stopped_by_budget == (exit < 3)
        assert result.segment_ms == pytest.approx(
            [1.0, 2.0, 4.0, 8.0][: exit + 1]
        )


def test_the_result_is_what_the_exit_says(opened):
    for image in images(5):
        hurried = opened.run(image, budget_ms=3.1)
        free = opened.run(image, policy_of([1.0, 0.0, 0.0, 0.0]))
        assert (hurried.exit, free.exit) == (1, 1)
        assert hurried.stopped_by_budget and not free.stopped_by_budget
        np.testing.assert_array_equal(hurried.probabilities, free.probabilities)
        assert hurried.madds == free.madds


def test_without_a_budget_only_the_policy_stops(opened):
    batch = images(20)
    for image, result in zip(batch, opened.stream(batch), strict=True):
        assert (result.exit, result.stopped_by_budget) == (3, False)
        expected = opened.classify(image).probabilities
        np.testing.assert_array_equal(result.probabilities, expected)


def test_a_policy_may_stop_before_the_budget_does(opened):
    for result in opened.stream(images(3), point="first", budget_ms=100.0):
        assert (result.exit, result.stopped_by_budget) == (0, False)


def test_a_disabled_exit_may_be_the_last_in_time(opened):
    off = policy_of([0.0] * 4, [False, False, False, True])
    result = opened.run(images(1)[0], off, budget_ms=7.5)
    assert (result.exit, result.stopped_by_budget) == (2, True)


def test_time_that_the_policy_takes_counts(opened, clock, monkeypatch):
    from keras_dynamic.exits.decision import confidence

    def slow(*arguments, softmax=confidence.softmax):
        clock.seconds += 0.001
        return softmax(*arguments)

    monkeypatch.setattr(confidence, "softmax", slow)
    exits = [r.exit for r in opened.stream(images(80), budget_ms=7.5)]
    # 1 + 2 + 4 ms fit; with a millisecond at each exit they do not.
    assert exits[-1] == 1


def test_it_goes_less_far_when_the_device_slows_down(opened, clock):
    stream = opened.stream(images(200), budget_ms=15.5)
    assert next(stream).exit == 3
    clock.costs = [2 * each for each in clock.costs]
    slow = [next(stream).exit for _ in range(50)]
    assert slow[-1] == 2
    clock.costs = [each / 2 for each in clock.costs]
    assert [next(stream).exit for _ in range(140)][-1] == 3


def test_a_stream_takes_no_image_ahead(opened, clock):
    taken = []

    def camera():
        for number, image in enumerate(images(10)):
            taken.append(number)
            clock.seconds += 3600.0  # Waiting is nobody's budget.
            yield image

    stream = opened.stream(camera(), budget_ms=15.5)
    assert taken == []
    for number in range(3):
        assert next(stream).exit == 3
        assert taken == list(range(number + 1))


def test_all_is_loaded_before_the_first_image(opened, clock):
    stream = opened.stream(iter([]), budget_ms=1.0)
    assert list(stream) == []
    assert clock.runs == [2, 2, 2, 2]


def test_a_refused_image_does_not_end_a_stream(opened):
    batch = images(2)
    stream = opened.stream(iter([batch[0], batch[0][:1], batch[1]]))
    assert next(stream).exit == 3
    with pytest.raises(ValueError, match="`image`"):
        next(stream)
    assert next(stream).exit == 3
    assert list(stream) == []


@pytest.mark.parametrize("budget_ms", [0, -1.0, np.nan, np.inf, "5"])
def test_budgets_are_checked_at_once(opened, budget_ms):
    with pytest.raises(ValueError, match="`budget_ms`"):
        opened.stream(images(1), budget_ms=budget_ms)
    with pytest.raises(ValueError, match="`budget_ms`"):
        opened.classify(images(1)[0], budget_ms=budget_ms)


def test_operating_points_are_named(opened):
    image = images(1)[0]
    assert opened.classify(image, point="first").exit == 0
    assert opened.classify_batch(images(4), "first").exits.tolist() == [0] * 4
    message = r"`point` must be one of \['first'\]. Received: 'fast'"
    for method in (opened.classify, opened.stream, opened.classify_batch):
        with pytest.raises(ValueError, match=message):
            method(images(1), "fast")
