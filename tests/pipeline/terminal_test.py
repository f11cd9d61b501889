import io
import sys

from pipeline import terminal


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
