"""`benchmark` of models made by hand, without a float model."""

import csv
import json

import numpy as np
import pytest

from pipeline import config
from pipeline.benchmarking import benchmark, entrants
from pipeline.results import (
    cost_table,
    metrics_file,
    predictions,
    stage_results,
)
from pipeline.results.layout import Layout
from tests.support import prepared_data, small_bundle
from tflite import bundle
from tflite.runtime.whole_model import Unsplit
from tflite.timing.contestants import Contestant

SIDE = small_bundle.SHAPE[0]


def write(root) -> Layout:
    """A working directory as `check` leaves it, but for its float model."""
    layout = Layout(root)
    layout.data.mkdir(parents=True)
    pixels, _ = prepared_data.images(20, SIDE, small_bundle.SHAPE[-1])
    labels = np.arange(20, dtype=np.int32) % 4
    prepared_data.write(layout.data, {"test": (pixels, labels)}, labels=4)
    layout.tflite.mkdir()
    layout.tflite_model.write_bytes(small_bundle.whole())
    whole = Unsplit(small_bundle.whole())
    # As `dataset.load` has them: in the order of the shards.
    logits = np.stack([whole.logits(image) for image in pixels], axis=1)
    said = predictions.Predictions(labels, whole.dequantize(list(logits)))
    predictions.save(layout.predictions, test=said)
    small_bundle.write(layout.bundle)
    stage_results.keep(
        layout,
        "evaluate",
        {
            "exits": [
                {
                    "exit": k,
                    "madds": 10**6 * (k + 1),
                    "params": 1000,
                    "accuracy": {"float": 0.9, "int8": accuracy},
                }
                for k, accuracy in enumerate((0.5, 0.75, 0.8))
            ],
            "routed": [
                {
                    "policy": "budgeted_drop",
                    "target": 0.005,
                    "bundle": True,
                    "accuracy": 0.7,
                    "mean_madds": 1.5e6,
                    "exit_shares": [0.5, 0.25, 0.25],
                    "parameters": small_bundle.POLICY.to_dict(),
                }
            ],
        },
        {},
    )
    stage_results.publish(layout)
    return layout


def settings(**changes):
    found = config.load("ranet_digits")
    found.model.size = SIDE
    found.benchmark.update(
        {"warmup": 1, "runs": 10, "starts": 1, "threads": (2, 1)} | changes
    )
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    layout = write(tmp_path_factory.mktemp("work") / "run")
    other = layout.root.parent / "other.tflite"
    other.write_bytes(small_bundle.whole())
    beside = write(layout.root.parent / "beside")
    changes = {"others": (str(other), str(beside.root))}
    benchmark.benchmark(settings(**changes), layout)
    stage_results.publish(layout)
    return layout


NAMES = ["chain", "routed", "unsplit", "static", "other", "beside"]


def test_every_row_is_in_both_files(finished):
    found = json.loads(finished.benchmark_json.read_text())
    with open(finished.benchmark_table, newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(found["rows"]) == 2 * (6 + 3)
    for line, row in zip(table, found["rows"], strict=True):
        for name, value in row.items():
            assert line[name] == ("" if value is None else str(value))
    whole = [row for row in found["rows"] if not row["segment"]]
    assert [(row["contestant"], row["threads"]) for row in whole] == [
        (name, threads) for threads in (2, 1) for name in NAMES
    ]


def test_what_made_it_is_said(finished):
    found = json.loads(finished.benchmark_json.read_text())
    assert found["settings"]["runs"] == 10
    assert found["settings"]["seed"] == 0
    assert found["measured"]["cores"] > 0
    assert found["versions"]["ai-edge-litert"]
    assert [each["name"] for each in found["absent"]] == ["float", "onnx"]
    for each in found["ratios"]:
        assert each["routed / onnx, mean"] is None
        assert each["chain / unsplit, p50"] > 0


def test_the_metrics_have_the_first_number_of_threads(finished):
    found = json.loads(finished.benchmark_json.read_text())
    metrics = metrics_file.read(finished.metrics)
    rows = {
        (row["contestant"], row["segment"]): row
        for row in found["rows"]
        if row["threads"] == 2
    }
    for name in ("chain", "unsplit", "routed"):
        for figure, value in metrics[f"{name}_latency_ms"].items():
            assert rows[name, None][f"call_{figure}_ms"] == value
    for k, noted in enumerate(metrics["segment_latency_ms"]):
        assert rows["chain", f"exit_{k}"]["call_p90_ms"] == noted["p90"]
    assert (
        metrics["chain"]["overhead"]
        == (found["ratios"][0]["chain / unsplit, p50"])
    )
    assert metrics["routed"][0]["mean_latency_ms"] > 0
    for row in metrics["exits"]:
        assert row["latency_ms"]["p50"] > 0


def test_the_static_model_is_the_shallowest_exit_that_is_good_enough(finished):
    found = json.loads(finished.benchmark_json.read_text())
    [row, _] = [r for r in found["rows"] if r["contestant"] == "static"]
    assert row["accuracy"] == 0.75
    alone = finished.benchmark / "exit_1_alone.tflite"
    run = Contestant("tflite", str(alone)).load()
    whole = Unsplit(small_bundle.whole())
    for image in prepared_data.images(20, SIDE, 4)[0]:
        [logits] = run(image).outputs
        np.testing.assert_array_equal(logits, whole.logits(image)[1])


def test_others_are_judged_by_the_same_images(finished):
    found = json.loads(finished.benchmark_json.read_text())
    said = predictions.load(finished.predictions, "test")
    accuracies = {
        row["contestant"]: row["accuracy"] for row in found["rows"][-2:]
    }
    assert accuracies == dict.fromkeys(
        ("other", "beside"), said.accuracies()[-1]
    )


def test_others_that_are_not_there_leave_what_was_there(finished):
    before = finished.benchmark_json.read_bytes()
    metrics = finished.metrics.read_bytes()
    with pytest.raises(ValueError, match="Received: nowhere"):
        benchmark.benchmark(settings(others=("nowhere",)), finished)
    assert finished.benchmark_json.read_bytes() == before
    assert finished.metrics.read_bytes() == metrics


def test_an_other_that_takes_other_images(finished, tmp_path):
    wide = np.zeros((2, SIDE + 1, SIDE, 4), np.uint8)
    paths = (str(finished.root.parent / "other.tflite"),)
    with pytest.raises(ValueError, match="must take the images"):
        list(entrants._others(paths, finished, [], wide))


def test_the_cost_table_is_of_the_bundle(finished):
    found = cost_table.read(finished.costs)
    exit_ms = found.exit_ms(bundle.read(str(finished.bundle)))
    assert len(exit_ms) == 3
    assert 0 < exit_ms[0] < exit_ms[1] < exit_ms[2]
