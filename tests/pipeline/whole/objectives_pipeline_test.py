"""Objectives that need another graph or another model, through the stages."""

import json
import pathlib
import subprocess
import sys

import pytest

_CONFIG = pathlib.Path(__file__).parents[2] / "support" / "tiny_config.py"
_RUN = """
import ast, pathlib, sys
from absl import logging
from pipeline import config, stages
from pipeline.results import layout
logging.set_verbosity(logging.INFO)
settings = config.load(sys.argv[1])
with settings.unlocked():
    settings.update_from_flattened_dict(ast.literal_eval(sys.argv[3]))
where = layout.Layout(pathlib.Path(sys.argv[2]))
try:
    stages.run(settings, where, sys.argv[4:], skip_finished=True)
except ValueError as error:
    sys.exit(f"error: {error}")
"""
_STAGES = ("prepare", "train", "evaluate", "quantize", "convert")

pytestmark = pytest.mark.slow


def _run(workdir, settings, stages=_STAGES):
    settings = {"train.epochs": 3, "quantize.steps": 5} | settings
    return subprocess.run(
        [sys.executable, "-c", _RUN, _CONFIG, workdir, repr(settings), *stages],
        capture_output=True,
        text=True,
    )


def _metrics(workdir):
    return json.loads((workdir / "metrics.json").read_text())


def test_boosted_exits_reach_the_bundle(tmp_path):
    done = _run(
        tmp_path,
        {"train.objective": "boosted", "train.gradient_equilibrium": True},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    manifest = json.loads((tmp_path / "bundle/manifest.json").read_text())
    assert "exit_0" in manifest["segments"][1]["inputs"]
    for row in _metrics(tmp_path)["exits"]:
        accuracy = row["accuracy"]
        assert accuracy["float"] > 0.5
        assert abs(accuracy["int8"] - accuracy["float"]) < 0.03


def test_zero_time_waste_on_a_trained_backbone(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    done = _run(first, {}, _STAGES[:3])
    assert done.returncode == 0, done.stderr[-2000:]
    settings = {
        "train.objective": "zero_time_waste",
        "train.objective_arguments": {
            "backbone": str(first / "model/float.keras")
        },
        "train.epochs": 6,
    }
    done = _run(second, settings)
    assert done.returncode == 0, done.stderr[-2000:]
    before, after = (_metrics(each)["exits"] for each in (first, second))
    assert after[1]["accuracy"]["float"] == before[1]["accuracy"]["float"]
    for row in after:
        accuracy = row["accuracy"]
        assert accuracy["float"] > 0.5
        assert abs(accuracy["int8"] - accuracy["float"]) < 0.03


def test_a_backbone_that_is_not_there_is_an_error_before_training(tmp_path):
    settings = {
        "train.objective": "zero_time_waste",
        "train.objective_arguments": {"backbone": str(tmp_path / "no.keras")},
    }
    done = _run(tmp_path, settings, ("prepare", "train"))
    assert "`backbone` must be an existing .keras file" in done.stderr
    assert not (tmp_path / "training").exists()
