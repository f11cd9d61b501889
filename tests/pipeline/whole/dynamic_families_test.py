"""BasisNet and LC-Net through every stage, by the command line."""

import json

import pytest

from tests.support import command_line
from tflite import bundle
from tflite.diagnosis import delegation

pytestmark = pytest.mark.slow


@pytest.fixture(
    scope="module", name="finished", params=["basisnet_digits", "lcnet_digits"]
)
def _finished(request, tmp_path_factory):
    """The configuration's name, and a working directory after `run`."""
    workdir = tmp_path_factory.mktemp(request.param)
    command_line.run("run", f"--config={request.param}", f"--workdir={workdir}")
    return request.param, workdir


def test_int8_loses_little(finished):
    metrics = json.loads((finished[1] / "metrics.json").read_text())
    assert len(metrics["exits"]) == 2
    for row in metrics["exits"]:
        accuracy = row["accuracy"]
        assert accuracy["float"] > 0.95
        assert accuracy["int8"] > accuracy["float"] - 0.015


def test_the_chain_is_the_unsplit_model(finished):
    metrics = json.loads((finished[1] / "metrics.json").read_text())
    assert metrics["chain"]["samples"] == metrics["dataset"]["test"]
    assert metrics["chain"]["mismatches"] == 0


def test_each_segment_is_one_partition(finished):
    directory = finished[1] / "bundle"
    for segment in bundle.read(str(directory)).segments:
        model = (directory / segment.file).read_bytes()
        assert delegation.delegation(model).complete


def test_work_is_skipped(finished):
    """By early exits; in the LC-Net by gates, too."""
    config, workdir = finished
    metrics = json.loads((workdir / "metrics.json").read_text())
    [shipped] = [row for row in metrics["routed"] if row["bundle"]]
    last = metrics["exits"][-1]
    assert shipped["mean_madds"] < last["madds"]
    found = bundle.read(str(workdir / "bundle"))
    if config == "basisnet_digits":
        assert [each.wiring.exit for each in found.segments] == [0, 1]
        assert shipped["exit_shares"][0] > 0.5
    else:
        assert any(each.wiring.gate is not None for each in found.segments)
        dynamic = last["dynamic_madds"]
        assert dynamic["float"]["mean"] < last["madds"]
        assert dynamic["int8"]["mean"] < last["madds"]
