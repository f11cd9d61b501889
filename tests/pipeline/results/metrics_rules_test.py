"""An edited metrics.json is one clear line."""

import copy
import json

import pytest

from pipeline.results import metrics_file, summary

TIMES = {"mean": 1.0, "p50": 1.0, "p90": 1.5, "p99": 2.0}
SOUND = {
    "format_version": 1,
    "config": "digits",
    "model": "vgg",
    "dataset": {"train": 10, "test": 5, "rejected": 0},
    "exits": [
        {
            "exit": exit,
            "madds": 100 * (exit + 1),
            "madds_paper": 100,
            "params": 10,
            "accuracy": {"float": 0.5, "qat": 0.5, "int8": 0.5},
            "auroc": {"float": None, "int8": 0.7},
            "latency_ms": TIMES,
        }
        for exit in range(2)
    ],
    "curves": {
        "int8": {
            "anytime": {
                "area": 0.5,
                "points": [{"target": 0, "madds": 100, "accuracy": 0.5}],
            }
        }
    },
    "routed": [
        {
            "policy": "accuracy_drop",
            "target": 0.0,
            "bundle": True,
            "status": "fitted",
            "accuracy": 0.5,
            "mean_madds": 120.0,
            "mean_latency_ms": None,
            "exit_shares": [0.8, 0.2],
            "parameters": {},
        }
    ],
    "chain": {"samples": 5, "mismatches": 0, "overhead": 1.1},
    "unsplit_latency_ms": TIMES,
    "segment_latency_ms": [TIMES, TIMES],
}
GONE = object()


def read(tmp_path, metrics):
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(metrics))
    return metrics_file.read_converted(path, "dataset")


def leaves(value, path=()):
    """Yields the path of each value."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, (*path, key))
    if isinstance(value, list):
        for place, each in enumerate(value):
            yield from leaves(each, (*path, place))


def changed(path, value):
    found = copy.deepcopy(SOUND)
    at = found
    for key in path[:-1]:
        at = at[key]
    if value is GONE:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return found


def test_what_the_stages_write_is_read(tmp_path):
    assert read(tmp_path, SOUND) == SOUND
    assert "accuracy_drop" in summary.text(read(tmp_path, SOUND))


@pytest.mark.parametrize("value", [GONE, None, "x", -1, 1e300, [], {}, 10**400])
def test_each_value_that_is_edited_is_refused_or_harmless(tmp_path, value):
    """No reader ends in anything but a ValueError of one line."""
    refused = 0
    for path in leaves(SOUND):
        try:
            summary.text(read(tmp_path, changed(path, value)))
        except ValueError as error:
            assert str(tmp_path) in str(error) or "routed" in str(error)
            assert "\n" not in str(error)
            refused += 1
    assert refused > 5


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("exits", 1, "madds"), 0, r"`exits\[1\]\.madds`"),
        (("exits", 1, "madds"), 2**62, r"at most 2\^53"),
        (("exits", 0, "exit"), 1, r"`exits\[0\]\.exit`"),
        (("exits",), [], "`exits`"),
        (("exits", 0, "accuracy"), GONE, r"`exits\[0\]` .* accuracy"),
        (("exits", 0, "accuracy", "int8"), GONE, r"`exits\[0\]\.accuracy`"),
        (("routed", 0, "accuracy"), 1.5, r"`routed\[0\]\.accuracy`"),
        (("routed", 0, "exit_shares"), [1.0], r"`routed\[0\]\.exit_shares`"),
        (("chain", "overhead"), "fast", r"`chain\.overhead`"),
        (("dataset",), GONE, "dataset"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, path, value, named):
    with pytest.raises(ValueError, match=named):
        read(tmp_path, changed(path, value))
