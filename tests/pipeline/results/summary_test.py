import copy

from pipeline.results import summary
from tests.support import benchmark_times

_METRICS = {
    "dataset": {"test": 8},
    "exits": [
        {
            "exit": k,
            "madds": (k + 1) * 1_000_000,
            "params": 2000 * (k + 1),
            "accuracy": {"float": 0.5, "qat": 0.25, "int8": 0.125},
            "latency_ms": {"mean": 0.1 * (k + 1)},
        }
        for k in range(2)
    ],
    "routed": [
        {
            "policy": "accuracy_drop",
            "target": 0.005,
            "bundle": True,
            "accuracy": 0.875,
            "mean_madds": 1_500_000.0,
            "exit_shares": [0.75, 0.25],
        }
    ],
    "chain": {"samples": 7, "mismatches": 3, "overhead": 1.0625},
    "unsplit_latency_ms": {"mean": 0.25, "p50": 0.2, "p99": 0.3},
    "routed_latency_ms": {"mean": 0.2, "p50": 0.15, "p99": 0.25},
}


def test_the_table_shows_what_was_measured():
    text = summary.text(_METRICS)
    first, second = text.splitlines()[1:3]
    # 0.2 ms were measured where 0.75 * 0.1 + 0.25 * 0.2 are the segments'.
    numbers = ["1.000", "M", "2", "k", "50.00", "25.00", "12.50", "0.175"]
    assert first.split() == ["0", *numbers, "75.0"]
    assert second.split()[-2:] == ["0.275", "25.0"]
    assert "87.50 % of 8 images, 52.9 to 97.8 at 95 %" in text
    assert "0.75 of the last exit's" in text
    assert "3 logits differ from the unsplit model on 7 images" in text
    assert "1.062 times" in text
    assert "static" not in text


def test_a_single_exit_stands_beside_the_policy():
    benchmark = benchmark_times.document("chain", "routed", "unsplit", "static")
    text = summary.text(_METRICS, benchmark)
    assert "0.67 of unsplit's mean" in text
    # None is as accurate as the policy.
    assert "exit 0 alone (12.50 %, less accurate): mean 4.000 ms" in text
    assert "routed takes 0.50 of that" in text


def test_what_was_not_measured_is_said_to_be_so():
    metrics = copy.deepcopy(_METRICS)
    for key in ("chain", "unsplit_latency_ms", "routed_latency_ms"):
        del metrics[key]
    for row in metrics["exits"]:
        del row["latency_ms"]
    assert summary.text(metrics).count("not measured") == 3


def test_one_exit_has_no_policy():
    metrics = copy.deepcopy(_METRICS)
    del metrics["exits"][1]
    metrics["routed"][0]["exit_shares"] = [1.0]
    text = summary.text(metrics)
    assert text.splitlines()[1].split()[-1] == "100.0"
    assert "policy" not in text
