import io
import itertools
import sys
import time

from pipeline.processes import terminal


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_hands_on_every_step_and_goes_away(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    assert list(terminal.bar(range(7), 10, "epoch 2/3", done=3)) == [*range(7)]
    said = screen.getvalue()
    assert "epoch 2/3" in said and "3/10" in said
    # The last line is overwritten with blanks.
    assert said.rstrip("\r").rpartition("\r")[2].strip() == ""


def test_a_log_file_gets_no_bar(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    assert list(terminal.bar(range(7), 7, "epoch 2/3")) == [*range(7)]
    assert log.getvalue() == ""


def test_what_others_do_is_followed(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    done = itertools.chain(range(5), itertools.repeat(4))
    with terminal.following(lambda: next(done), 4, "buckets", seconds=1e-3):
        while "4/4" not in screen.getvalue():
            time.sleep(1e-3)
    assert screen.getvalue().rstrip("\r").rpartition("\r")[2].strip() == ""


def test_a_log_file_follows_nothing(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    with terminal.following(lambda: 1 / 0, 4, "buckets", seconds=0.0):
        pass
    assert log.getvalue() == ""
