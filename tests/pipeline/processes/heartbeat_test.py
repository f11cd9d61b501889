import contextlib
import logging as standard_logging
import time

import pytest
from absl import logging

from pipeline.processes import heartbeat, terminal


@pytest.fixture
def lines(caplog):
    """The texts that were logged, as they come."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.INFO)
    caplog.set_level(standard_logging.INFO)
    yield lambda: [record.getMessage() for record in caplog.records]
    logging.set_verbosity(before)


def wait_for(condition):
    for _ in range(2000):
        if condition():
            return
        time.sleep(5e-3)
    raise TimeoutError("nothing came")


def test_silence_is_broken_with_what_is_being_done(lines):
    with heartbeat.beating("quantize", seconds=0.01):
        heartbeat.note("tracing the step")
        wait_for(lambda: "quantize, 0 s: tracing the step" in lines())
        heartbeat.note(lambda: "3 of 20 steps")
        wait_for(lambda: "quantize, 0 s: 3 of 20 steps" in lines())
    said = len(lines())
    time.sleep(0.05)
    assert len(lines()) == said


def test_nothing_is_said_while_others_speak(lines):
    with heartbeat.beating("train", seconds=3600.0):
        heartbeat.say("compiling")
    assert lines() == ["compiling"]


def test_a_logged_line_counts_and_a_hidden_one_does_not(lines):
    hide = logging.get_absl_handler()
    only = standard_logging.Filter("absl")
    hide.addFilter(only)
    try:
        with heartbeat.beating("train", seconds=3600.0):
            heard = heartbeat._state.heard
            heard.at = 0.0
            standard_logging.getLogger("library").warning("hidden")
            assert heard.at == 0.0
            logging.info("seen")
            assert heard.at > 0.0
    finally:
        hide.removeFilter(only)


def test_an_error_passes_and_ends_it(lines):
    with contextlib.suppress(ValueError), heartbeat.beating("train"):
        raise ValueError
    assert heartbeat._state.heard is None
    assert heartbeat._state.now is None


def test_a_bar_tells_a_log_file_how_far_it_is(lines):
    with heartbeat.beating("train", seconds=0.01):
        steps = terminal.bar(range(3), 10, "epoch 2/3", done=4)
        next(steps)
        next(steps)
        text = "train, 0 s: epoch 2/3: 5 of 10 steps done"
        wait_for(lambda: text in lines())


def test_work_of_others_is_counted_when_a_line_is_due(lines):
    with (
        heartbeat.beating("prepare", seconds=0.01),
        terminal.following(lambda: 2, 4, "buckets"),
    ):
        wait_for(lambda: "prepare, 0 s: 2 of 4 buckets" in lines())
