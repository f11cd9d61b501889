"""A static network through every stage, by the command line."""

import json
import pathlib

import numpy as np
import pytest
from PIL import Image
from sklearn import datasets

from tests.support import command_line
from tflite import bundle
from tflite.runtime.batch_harness import BatchHarness
from tflite.runtime.harness import Harness

_CONFIG = (
    pathlib.Path(__file__).parents[2] / "support" / "tiny_static_config.py"
)

pytestmark = pytest.mark.slow


def _run(*arguments):
    return command_line.run(*arguments).stdout


@pytest.fixture(scope="module", name="finished")
def _finished(tmp_path_factory):
    """A working directory after `run`, and what `run` printed."""
    workdir = tmp_path_factory.mktemp("run")
    return workdir, _run("run", f"--config={_CONFIG}", f"--workdir={workdir}")


@pytest.fixture(scope="module", name="digits")
def _digits(tmp_path_factory):
    """Files of some digits."""
    directory = tmp_path_factory.mktemp("digits")
    images = datasets.load_digits().images[:5] * 255 / 16
    for i, image in enumerate(images.astype(np.uint8)):
        Image.fromarray(image).save(directory / f"{i}.png")
    return directory


def test_the_metrics_have_one_exit_where_every_image_leaves(finished):
    metrics = json.loads((finished[0] / "metrics.json").read_text())
    [exit] = metrics["exits"]
    assert set(exit["accuracy"]) == {"float", "qat", "int8"}
    assert exit["accuracy"]["int8"] > 0.5
    [routed] = metrics["routed"]
    assert routed["bundle"]
    assert routed["exit_shares"] == [1.0]
    assert routed["mean_madds"] == exit["madds"]
    assert routed["accuracy"] == exit["accuracy"]["int8"]
    assert routed["mean_latency_ms"] == pytest.approx(
        exit["latency_ms"]["mean"]
    )
    assert metrics["chain"]["mismatches"] == 0
    assert metrics["chain"]["samples"] == metrics["dataset"]["test"]


def test_the_bundle_has_one_segment_with_all_of_the_cost(finished):
    metrics = json.loads((finished[0] / "metrics.json").read_text())
    found = bundle.read(str(finished[0] / "bundle"))
    [segment] = found.segments
    assert segment.wiring.outputs == ("exit_0",)
    assert segment.wiring.inputs == ("image",)
    assert segment.madds == metrics["exits"][0]["madds"]
    # Normalisations were folded into the convolutions before them.
    assert 0 < segment.params < metrics["exits"][0]["params"]
    assert found.policy.thresholds == (0.0,)


def test_every_policy_stops_at_the_only_exit(finished):
    directory = str(finished[0] / "bundle")
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), np.uint8)
    batched = BatchHarness(directory).run(images)
    with Harness(directory) as harness:
        for i, image in enumerate(images):
            result = harness.classify(image)
            assert result.exit == harness.run(image).exit == 0
            assert len(result.segment_ms) == 1
            assert result.index == batched.classes[i]
    assert batched.exits.tolist() == [0, 0, 0]


def test_the_table_and_the_page_speak_of_one_static_network(finished):
    workdir, printed = finished
    assert "0 logits differ" in printed
    assert "policy " not in printed
    page = (workdir / "report" / "index.html").read_text()
    assert "A static network, resnet, as it ships" in page
    assert "Images, sure and unsure" in page
    for words in ("early-exit", "Where images leave", "leave here", ">Exit 0<"):
        assert words not in page.partition("<script>")[0]


def test_classify(finished, digits):
    lines = _run(
        "classify",
        f"--bundle={finished[0] / 'bundle'}",
        "--json",
        *sorted(digits.iterdir()),
    )
    rows = [json.loads(line) for line in lines.splitlines()]
    assert [row["exit"] for row in rows] == [0] * 5
    assert {len(row["segment_ms"]) for row in rows} == {1}


def test_score(finished, digits, tmp_path):
    printed = _run(
        "score",
        f"--bundle={finished[0] / 'bundle'}",
        f"--input={digits}/*.png",
        "--format=csv",
        f"--output={tmp_path / 'scores'}",
    )
    assert "100.00%" in printed
    [file] = tmp_path.glob("scores*.csv")
    assert len(file.read_text().splitlines()) == 1 + 5
