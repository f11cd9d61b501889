import concurrent.futures
import dataclasses
import json
import shutil

import numpy as np
import pytest

from pipeline.results import identity, predictions, stage_results
from pipeline.results.layout import Layout
from tests.support import report_inputs

POLICIES = {
    name: dataclasses.replace(report_inputs.POLICY, thresholds=(bar, 1.0, 0.0))
    for name, bar in (("a", 0.6), ("b", 0.7))
}
SPENT = {"mean": 1.0, "p50": 1.0, "p90": 1.0, "p99": 1.0}


def kept(layout, stage, **metrics):
    found = stage_results.keep(layout, stage, metrics)
    stage_results.publish(layout)
    return found


def trained(layout, seed):
    """What `train` and `evaluate` leave."""
    layout.float_model.parent.mkdir(exist_ok=True)
    layout.float_model.write_text(f"model {seed}")
    said(layout.float_predictions, seed)
    rows = [{"exit": k, "madds": k + 1, "params": k + 1} for k in range(3)]
    for row in rows:
        row["accuracy"] = {"float": 0.5 + seed / 8}
    kept(layout, "evaluate", config="tiny", model="tiny", exits=rows)


def quantized(layout, seed):
    layout.qat_model.mkdir(exist_ok=True)
    said(layout.qat_predictions, seed)
    rows = [{"accuracy": {"qat": 0.25 + seed / 8}}] * 3
    kept(layout, "quantize", exits=rows)


def converted(layout, seed, policy):
    """What `convert` leaves, as if it took another model if asked for."""
    layout.tflite.mkdir(exist_ok=True)
    layout.tflite_model.write_text(f"model {seed}")
    said(layout.predictions, seed)
    shutil.rmtree(layout.bundle, ignore_errors=True)
    report_inputs.write_bundle(layout, POLICIES[policy])
    row = report_inputs.METRICS["routed"][0] | {"mean_latency_ms": None}
    row["parameters"] = POLICIES[policy].to_dict()
    rows = [{"accuracy": {"int8": 0.125 + seed / 8}}] * 3
    kept(layout, "convert", exits=rows, routed=[row])


def checked(layout):
    kept(layout, "check", chain={"samples": 120, "mismatches": 0})


def benchmarked(layout):
    kept(
        layout,
        "benchmark",
        exits=[{"latency_ms": SPENT}] * 3,
        unsplit_latency_ms=SPENT,
        chain={"overhead": 1.5},
        routed=[{"mean_latency_ms": 0.5}],
    )


def said(path, seed):
    labels = np.arange(4, dtype=np.int32)
    logits = np.full((3, 4, 10), seed, np.float32)
    predictions.save(path, test=predictions.Predictions(labels, logits))


def metrics(layout) -> dict:
    return json.loads(layout.metrics.read_text())


@pytest.fixture
def layout(tmp_path) -> Layout:
    """A finished working directory."""
    layout = Layout(tmp_path)
    layout.data.mkdir()
    layout.data_manifest.write_text("{}")
    trained(layout, 0)
    quantized(layout, 0)
    converted(layout, 0, "a")
    checked(layout)
    benchmarked(layout)
    return layout


def test_all_of_a_finished_run_is_there(layout):
    found = metrics(layout)
    assert found["format_version"] == 1
    assert found["chain"] == {"samples": 120, "mismatches": 0, "overhead": 1.5}
    for row in found["exits"]:
        assert row["accuracy"] == {"float": 0.5, "qat": 0.25, "int8": 0.125}
        assert row["latency_ms"] == SPENT
    [row] = found["routed"]
    assert row["mean_latency_ms"] == 0.5
    assert layout.exits_table.read_text().count("\n") == 1 + 3 * 3
    assert stage_results.publish(layout) == []
    assert metrics(layout) == found


def test_another_policy_leaves_out_what_was_measured_of_the_old_one(layout):
    before = metrics(layout)
    converted(layout, 0, "b")
    found = metrics(layout)
    assert "chain" not in found
    assert not [name for name in found if name.endswith("latency_ms")]
    assert not [row for row in found["exits"] if "latency_ms" in row]
    assert found["routed"][0]["mean_latency_ms"] is None
    assert found["exits"][0]["accuracy"] == before["exits"][0]["accuracy"]
    assert stage_results.publish(layout) == ["check", "benchmark"]
    # The results are still there, and fit again.
    converted(layout, 0, "a")
    assert metrics(layout) == before


def test_another_int8_model_does_too(layout):
    before = metrics(layout)
    converted(layout, 1, "a")
    found = metrics(layout)
    assert found["exits"][0]["accuracy"]["int8"] == 0.25
    assert "chain" not in found
    assert "unsplit_latency_ms" not in found
    converted(layout, 0, "a")
    assert metrics(layout) == before


def test_other_policies_beside_the_shipped_one_have_no_times(layout):
    shipped = metrics(layout)["routed"]
    other = {**shipped[0], "bundle": False, "mean_latency_ms": None}
    kept(layout, "convert", routed=[{**other, "bundle": True}, other])
    assert [row["mean_latency_ms"] for row in metrics(layout)["routed"]] == [
        None,
        None,
    ]
    assert stage_results.publish(layout) == ["benchmark"]


def test_quantized_again_there_is_no_accuracy_of_the_old_int8_model(layout):
    before = metrics(layout)
    quantized(layout, 1)
    found = metrics(layout)
    for row in found["exits"]:
        assert row["accuracy"] == {"float": 0.5, "qat": 0.375}
        assert "latency_ms" not in row
    assert not {"routed", "chain", "unsplit_latency_ms"} & found.keys()
    assert "int8" not in layout.exits_table.read_text()
    assert stage_results.publish(layout) == ["convert", "check", "benchmark"]
    quantized(layout, 0)
    assert metrics(layout) == before


def test_evaluated_again_only_the_float_model_is_known(layout):
    trained(layout, 1)
    [row, *_] = metrics(layout)["exits"]
    assert row["accuracy"] == {"float": 0.625}


@pytest.mark.parametrize("changed", ["float_model", "data_manifest"])
def test_nothing_is_said_of_a_model_that_was_not_evaluated(layout, changed):
    before = metrics(layout)
    path = getattr(layout, changed)
    there = path.read_bytes()
    path.write_text("another one")
    assert stage_results.publish(layout) == list(identity.ABOUT)
    for each in (layout.metrics, layout.exits_table, layout.curves_table):
        assert not each.exists()
    path.write_bytes(there)
    assert stage_results.publish(layout) == []
    assert metrics(layout) == before


def test_numbers_outlive_models_that_were_removed(layout):
    before = metrics(layout)
    layout.float_model.unlink()
    shutil.rmtree(layout.data)
    shutil.rmtree(layout.tflite)
    assert stage_results.publish(layout) == []
    assert metrics(layout) == before


def test_two_stages_at_once_lose_nothing(layout):
    before = metrics(layout)
    for stage in ("check", "benchmark"):
        layout.results_of(stage).unlink()
    stage_results.publish(layout)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for _ in range(10):
            for stage in ("check", "benchmark"):
                layout.results_of(stage).unlink(missing_ok=True)
            list(pool.map(lambda stage: stage(layout), (checked, benchmarked)))
            assert metrics(layout) == before


def test_a_working_directory_without_results_stays(tmp_path):
    layout = report_inputs.write(tmp_path / "work")
    before = layout.metrics.read_bytes()
    assert not stage_results.publish(layout)
    assert layout.metrics.read_bytes() == before
    assert not layout.results.exists()


def test_kept_and_read(layout):
    made = kept(layout, "check", chain={"samples": 1})
    assert stage_results.read(layout.results_of("check")) == made
    assert dataclasses.asdict(made)["made_from"].keys() == {
        "model",
        "predictions",
        "policy",
    }


def test_damaged_results_are_named(layout):
    layout.results_of("convert").write_text("{")
    with pytest.raises(ValueError, match=r"convert\.json.*keras-dynamic conv"):
        stage_results.publish(layout)
