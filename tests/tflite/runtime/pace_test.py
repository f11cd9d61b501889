import pytest

from tflite.runtime import pace


def test_an_exit_that_was_never_reached_is_tried():
    assert pace.Pace(2).reaches(1, 0.001)


def test_a_mean_follows_what_is_measured():
    runs = pace.Pace(2)
    runs.start(1, 10.0)
    assert runs.reaches(1, 10.0)
    assert not runs.reaches(1, 9.9)
    for _ in range(60):
        runs.note(1, 2.0)
    assert runs.reaches(1, 2.1)
    assert not runs.reaches(1, 1.9)


def test_one_slow_moment_does_not_close_an_exit_for_good():
    runs = pace.Pace(1)
    runs.start(0, 1.0)
    runs.note(0, 9.0)
    tries = 0
    while not runs.reaches(0, 1.5):
        tries += 1
    assert 100 < tries < 1000


def test_what_takes_too_long_is_seldom_tried():
    runs = pace.Pace(1)
    runs.start(0, 2.0)
    tried = 0
    for _ in range(10_000):
        if runs.reaches(0, 1.0):
            runs.note(0, 2.0)
            tried += 1
    assert 0 < tried < 200


def test_a_watch_counts_from_its_start():
    now = [5.0]
    runs = pace.Pace(3)
    for exit, ms in enumerate((1.0, 2.0, 4.0)):
        runs.start(exit, ms)
    watch = pace.Watch(runs, lambda: now[0], budget_ms=6.5)
    now[0] += 0.001
    assert not watch.out_of_time(0)
    now[0] += 0.002
    assert watch.out_of_time(1)
    assert runs.reaches(0, 1.001) and runs.reaches(1, 2.001)


def test_behind_the_last_exit_there_is_nothing_to_be_late_for():
    watch = pace.Watch(pace.Pace(1), iter([0.0, 99.0]).__next__, 1.0)
    assert not watch.out_of_time(0)


@pytest.mark.parametrize("exits", [1, 4])
def test_every_exit_has_a_mean_of_its_own(exits):
    runs = pace.Pace(exits)
    runs.start(0, 5.0)
    assert [runs.reaches(k, 1.0) for k in range(exits)] == [False] + [True] * (
        exits - 1
    )
