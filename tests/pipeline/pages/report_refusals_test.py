import re

import pytest

from pipeline.pages import report
from pipeline.results import (
    predictions,
)
from tests.support.report_inputs import change_metrics


def test_another_directory_without_metrics(layout, config, tmp_path):
    with pytest.raises(ValueError, match=r"`others`"):
        report.report(config, layout, [tmp_path / "nothing"])


@pytest.mark.parametrize(
    ("path", "verb"),
    [
        ("metrics.json", "evaluate"),
        ("tflite/predictions.npz", "convert"),
        ("bundle", "convert"),
        ("data", "prepare"),
    ],
)
def test_a_missing_stage_is_named(layout, config, path, verb):
    (layout.root / path).rename(layout.root / "elsewhere")
    with pytest.raises(
        ValueError, match=rf"{re.escape(path)}, .*`keras-dynamic {verb}`"
    ):
        report.report(config, layout)
    assert not layout.report.parent.exists()


def test_metrics_of_another_version(layout, config):
    change_metrics(layout, lambda metrics: metrics.update(format_version=2))
    with pytest.raises(ValueError, match=r"metrics\.json.*Received: 2"):
        report.report(config, layout)


def test_metrics_of_the_float_model_alone(layout, config):
    change_metrics(layout, lambda metrics: metrics.pop("routed"))
    with pytest.raises(ValueError, match=r"metrics\.json.*`keras-dynamic conv"):
        report.report(config, layout)


def test_metrics_of_another_model(layout, config):
    change_metrics(layout, lambda metrics: metrics["exits"].pop())
    with pytest.raises(ValueError, match="`keras-dynamic convert`"):
        report.report(config, layout)


def test_predictions_of_other_images(layout, config):
    said = predictions.load(layout.predictions, "test")
    said = predictions.Predictions(said.labels[::-1], said.logits)
    predictions.save(layout.predictions, test=said)
    with pytest.raises(ValueError, match="`keras-dynamic convert`"):
        report.report(config, layout)
