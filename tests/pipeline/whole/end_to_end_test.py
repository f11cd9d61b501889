"""The main job, from images to a bundle, by the command line."""

import json
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

from pipeline.results import own_files
from pipeline.storage.publishing import names
from tests.support import command_line

_CONFIG = pathlib.Path(__file__).parents[2] / "support" / "tiny_config.py"

pytestmark = pytest.mark.slow


def _stage(verb, workdir, *flags, **options):
    return command_line.run(
        verb, f"--config={_CONFIG}", f"--workdir={workdir}", *flags, **options
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A working directory after `run`, and what `run` printed."""
    workdir = tmp_path_factory.mktemp("run")
    return workdir, _stage("run", workdir)


def test_every_result_is_there(finished):
    workdir, done = finished
    for path in (
        "config.json",
        "data/manifest.json",
        "model/float.keras",
        "model/qat.savedmodel",
        "tflite/model.tflite",
        "bundle/manifest.json",
        "bundle/bundle.zip",
        "bundle/calibration.npy",
        "bundle/exit_0.tflite",
        "bundle/exit_1.tflite",
        "results/evaluate.json",
        "results/quantize.json",
        "results/convert.json",
        "results/check.json",
        "results/benchmark.json",
        "metrics.json",
        "exits.csv",
        "curves.csv",
        "benchmark/benchmark.csv",
        "benchmark/benchmark.json",
        "model/float_predictions.npz",
        "report/index.html",
    ):
        assert (workdir / path).exists(), path
    assert str(workdir / "report" / "index.html") in done.stdout
    assert not list(workdir.rglob("*.partial"))


def test_every_file_is_known(finished):
    """Else `run` would refuse to replace what it made itself."""
    workdir, _ = finished
    unknown = [
        name
        for name in names(workdir)
        if not own_files.WORKING_DIRECTORY.fullmatch(name)
    ]
    assert unknown == []


def test_the_metrics_are_complete_and_the_chain_exact(finished):
    metrics = json.loads((finished[0] / "metrics.json").read_text())
    counts = metrics["dataset"]
    assert sum(counts.values()) == 1797
    assert metrics["chain"]["samples"] == counts["test"]
    assert metrics["chain"]["mismatches"] == 0
    for row in metrics["exits"]:
        assert set(row["accuracy"]) == {"float", "qat", "int8"}
        assert row["accuracy"]["int8"] > 0.5
        assert row["latency_ms"]["p50"] <= row["latency_ms"]["p99"]
    madds = [row["madds"] for row in metrics["exits"]]
    manifest = json.loads((finished[0] / "bundle/manifest.json").read_text())
    assert np.cumsum([s["madds"] for s in manifest["segments"]]).tolist() == (
        madds
    )
    shipped = metrics["routed"][0]
    assert shipped["bundle"]
    assert shipped["parameters"] == manifest["policy"]
    assert madds[0] <= shipped["mean_madds"] <= madds[-1]


def test_all_contestants_are_measured(finished):
    workdir, _ = finished
    found = json.loads((workdir / "benchmark/benchmark.json").read_text())
    assert found["absent"] == []
    names = ["chain", "routed", "unsplit", "static", "float", "onnx"]
    whole = [row for row in found["rows"] if not row["segment"]]
    assert [(row["contestant"], row["threads"]) for row in whole] == [
        (name, threads) for threads in (1, 2) for name in names
    ]
    metrics = json.loads((workdir / "metrics.json").read_text())
    first = {row["contestant"]: row for row in whole if row["threads"] == 1}
    for name in ("chain", "routed", "unsplit"):
        noted = metrics[f"{name}_latency_ms"]["p50"]
        assert first[name]["call_p50_ms"] == noted
    assert first["static"]["accuracy"] >= first["routed"]["accuracy"]
    for ratios in found["ratios"]:
        assert min(ratios.values()) > 0


def test_tensorboard_gets_quantization_aware_training(finished):
    from tensorboard.backend.event_processing import event_accumulator

    workdir, _ = finished
    events = event_accumulator.EventAccumulator(
        str(workdir / "logs" / "quantize")
    ).Reload()
    tags = events.Tags()["tensors"]
    # One group, which can be folded.
    ends = {tag for tag in tags if tag.startswith("ranges/")}
    assert {*tags} - ends == {"quantize_loss"}
    layers = {tag.rsplit("/", 1)[0] for tag in ends}
    assert layers
    assert ends == {
        f"{layer}/{end}" for layer in layers for end in ("low", "high")
    }
    for layer in layers:
        low, high = (
            events.Tensors(f"{layer}/{end}")[-1].tensor_proto.float_val[0]
            for end in ("low", "high")
        )
        assert low <= 0 < high


def test_the_curves_of_both_models(finished):
    metrics = json.loads((finished[0] / "metrics.json").read_text())
    assert list(metrics["curves"]) == ["float", "int8"]
    for kind, curves in metrics["curves"].items():
        exits = [point["accuracy"] for point in curves["anytime"]["points"]]
        assert exits == [row["accuracy"][kind] for row in metrics["exits"]]
        assert len(curves["budgeted_batch"]["points"]) == 39
        assert 0.5 < curves["budgeted_batch"]["area"] < 1.0
    rows = (finished[0] / "curves.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * (2 + 39)
    rows = (finished[0] / "exits.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == [
        *["float"] * 2, *["qat"] * 2, *["int8"] * 2
    ]  # fmt: skip


def test_compare_with_itself(finished, tmp_path):
    workdir = tmp_path / "other"
    workdir.mkdir()
    for name in ("config.json", "metrics.json"):
        shutil.copy(finished[0] / name, workdir)
    settings = json.loads((workdir / "config.json").read_text())
    settings["seed"] += 1
    (workdir / "config.json").write_text(json.dumps(settings))
    command_line.run(
        "compare", f"--workdir={tmp_path}", "--kind=int8", finished[0], workdir
    )
    page = (tmp_path / "comparison" / "index.html").read_text()
    assert "mean of 2 seeds" in page


def test_a_second_run_has_nothing_to_do(finished):
    workdir, _ = finished
    before = (workdir / "bundle/bundle.zip").stat().st_mtime_ns
    done = _stage("run", workdir)
    assert done.stderr.count("unchanged") == 8
    assert (workdir / "bundle/bundle.zip").stat().st_mtime_ns == before


def test_the_gate_names_the_exits_that_lost_accuracy(finished):
    done = _stage(
        "check",
        finished[0],
        "--config.check.max_points=-101.0",
        "--config.check.level=1.0",
        fails=True,
    )
    assert "exit 0 lost" in done.stderr
    assert "exit 1 lost" in done.stderr


def test_the_gate_refuses_a_damaged_bundle(finished, tmp_path):
    workdir = tmp_path / "copy"
    shutil.copytree(finished[0], workdir)
    path = workdir / "bundle" / "exit_1.tflite"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    done = _stage("check", workdir, fails=True)
    assert "exit_1.tflite" in done.stderr


def test_classify_reads_what_it_can(finished, tmp_path):
    good, big, text = (tmp_path / n for n in ("3.png", "big.jpg", "text.jpg"))
    from sklearn import datasets

    digit = (datasets.load_digits().images[3] * 255 / 16).astype(np.uint8)
    Image.fromarray(digit).save(good)
    Image.fromarray(digit).resize((64, 40)).convert("RGB").save(big)
    text.write_text("not an image")
    done = command_line.run(
        "classify",
        f"--bundle={finished[0] / 'bundle'}",
        "--json",
        good,
        text,
        big,
        fails=True,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["file"] for row in rows] == [str(good), str(big)]
    assert "text.jpg" in done.stderr
    for row in rows:
        assert len(row["segment_ms"]) == row["exit"] + 1
        assert sum(row["probabilities"]) == pytest.approx(1.0)
        assert row["label"] == str(row["index"])


def test_a_stage_names_the_one_before_it(tmp_path):
    done = _stage("convert", tmp_path, fails=True)
    assert "keras-dynamic quantize" in done.stderr
