import io
import sys

import pytest

from pipeline.training import epochs


class Terminal(io.StringIO):
    def isatty(self):
        return True


def epoch(number, accuracy, **stage):
    return epochs.Epoch(
        number=number,
        count=10,
        loss=12.3456,
        train=[accuracy] * 4,
        validation=[accuracy] * 4,
        seconds=61.25,
        **stage,
    )


def test_a_log_gets_a_line_with_everything(caplog):
    with caplog.at_level("INFO", logger="absl"):
        epochs.say(epoch(3, 0.5), first=True)
    [record] = caplog.records
    assert " ".join(record.getMessage().split()) == (
        "epoch 3/10 loss 12.346 train 50.0 50.0 50.0 50.0 "
        "validation 50.0 50.0 50.0 50.0 61.2 s"
    )


@pytest.mark.parametrize("accuracy", [0.05, 0.5, 1.0])
def test_rows_stand_under_their_heading(accuracy):
    heading = epochs.heading(epoch(1, 0.5))
    row = epochs.row(epoch(10, accuracy))
    assert len(row) == len(heading)
    assert row.endswith("61.2") and heading.endswith("seconds")


def test_a_terminal_gets_one_heading(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    epochs.say(epoch(1, 0.1), first=True)
    epochs.say(epoch(2, 0.2), first=False)
    heading, first, second = terminal.getvalue().splitlines()
    assert heading.split()[:2] == ["epoch", "loss"]
    assert (first.split()[0], second.split()[0]) == ("1/10", "2/10")


def test_of_several_stages_the_number_is_told(monkeypatch, caplog):
    second = epoch(3, 0.5, stage=2, stages=3)
    assert epochs.line(second).startswith("stage 2/3  epoch 3/10  loss")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    epochs.say(second, first=True)
    stage, _, row = terminal.getvalue().splitlines()
    assert stage == "stage 2 of 3"
    assert row.split()[0] == "3/10"
