import copy

import pytest

from pipeline.results import call_times

METRICS = {
    "exits": [{"latency_ms": {"mean": ms}} for ms in (0.1, 0.3)],
    "routed": [
        {"bundle": True, "exit_shares": [0.5, 0.5]},
        {"exit_shares": [1.0, 0.0]},
    ],
    "routed_latency_ms": {"mean": 0.25},
}


def test_what_was_measured_comes_back():
    # 0.05 ms of the call were no segment's.
    assert call_times.up_to_exits(METRICS) == pytest.approx([0.15, 0.35])
    assert call_times.of_policies(METRICS) == pytest.approx([0.25, 0.15])


@pytest.mark.parametrize("key", ["routed_latency_ms", "exits", "routed"])
def test_what_was_not_measured_is_not_made_up(key):
    metrics = copy.deepcopy(METRICS)
    if key == "exits":
        metrics["exits"][1]["latency_ms"] = None
    elif key == "routed":
        metrics["routed"][0]["bundle"] = False
    else:
        del metrics[key]
    assert call_times.up_to_exits(metrics) is None
    assert call_times.of_policies(metrics) == [None, None]
