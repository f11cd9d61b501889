import re

import pytest

from pipeline.pages import report
from tests.support import benchmark_times, report_inputs
from tests.support.html_page import Page


@pytest.fixture
def headline(layout, config):
    """What stands above the sections of a page about some metrics."""

    def read(change=lambda metrics: None, *contestants):
        report_inputs.change_metrics(layout, change)
        if contestants:
            benchmark_times.write(layout, *contestants)
        page = Page(report.report(config, layout).read_text())
        return page.text.partition("Move a slider")[0]

    return read


def test_routed_unsplit_and_a_single_exit_are_calls_of_one_run(headline):
    text = headline(
        lambda metrics: None, "chain", "routed", "unsplit", "static"
    )
    tile = text.partition("mean time per image")[2]
    assert re.search(r"2\.000 ms\s+0\.67\s× unsplit\s\(3\.000 ms\)", tile)
    assert re.search(r"0\.50\s× exit 2 alone \(4\.000 ms\),\sas accurate", tile)
    assert "no single exit is as accurate, and faster" in text


def test_a_single_exit_that_is_faster_is_said_to_be(headline, monkeypatch):
    whole = benchmark_times.rows

    def quick(*names):
        rows = whole(*names)
        for row in rows:
            if row["contestant"] == "static":
                row["call_mean_ms"] = 0.5
        return rows

    monkeypatch.setattr(benchmark_times, "rows", quick)
    text = headline(
        lambda metrics: None, "chain", "routed", "unsplit", "static"
    )
    assert "that exit alone is as accurate, and faster" in text
    assert re.search(r"4\.00\s× exit 2 alone", text)


def test_a_less_accurate_exit_is_called_that(headline):
    def better(metrics):
        metrics["routed"][0]["accuracy"] = 0.995

    text = headline(better, "chain", "routed", "unsplit", "static")
    assert "less than the policy" in text
    assert "less accurate" in text


def test_times_that_were_not_measured_side_by_side_are_not_compared(headline):
    text = headline()
    assert re.search(r"mean time per image\s+not measured", text)


@pytest.mark.parametrize(
    ("int8", "said"),
    [
        (0.99 + 1 / 120, r"\+0\.83 points\s+1 image of\s120 more right"),
        (0.99 - 5 / 120, r"−4\.17 points\s+5 images of\s120 fewer right"),
        (0.99, r"\+0\.00 points\s+as many images right"),
    ],
)
def test_a_gain_is_no_cost(headline, int8, said):
    def change(metrics):
        metrics["exits"][-1]["accuracy"]["int8"] = int8

    text = headline(change)
    assert re.search(rf"int8 − float, last exit\s+{said}", text)
    assert "cost of int8" not in text


def test_the_accuracy_has_its_interval(headline):
    # Of 120 images.
    assert re.search(
        r"97\.51 %\s+92\.9 to 99\.2 % at 95 %, 120 images", headline()
    )
