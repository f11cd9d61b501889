import keras
import numpy as np
import pytest

from keras_dynamic.graph import cost
from pipeline.config import default
from pipeline.results import (
    assessment,
    metrics_file,
    predictions,
    stage_results,
)
from pipeline.results.layout import Layout
from pipeline.results.overlay import overlay
from pipeline.training import evaluate
from tests.support import prepared_data, two_exits


def saved_network(layout):
    model = two_exits.network(keras)
    layout.float_model.parent.mkdir()
    model.save(layout.float_model)
    return model


def some_images(count, seed):
    pixels, labels = prepared_data.images(count, side=6, channels=1, seed=seed)
    return pixels, labels % 3


@pytest.fixture
def config():
    settings = default()
    settings.name = "tiny"
    settings.model.size = 6
    return settings


def test_what_evaluate_leaves(tmp_path, config):
    layout = Layout(tmp_path)
    layout.data.mkdir()
    members = {
        "calibration": some_images(50, seed=1),
        "test": some_images(70, seed=2),
    }
    prepared_data.write(layout.data, members, labels=3)
    model = saved_network(layout)
    made = evaluate.evaluate(config, layout)
    stage_results.publish(layout)

    found = metrics_file.read(layout.metrics)
    assert found == {"format_version": 1, **made.metrics}
    assert made.made_from.keys() == {"data", "float_model"}
    costs = cost.exit_costs(model)
    for row, expected in zip(found["exits"], costs, strict=True):
        assert row["madds"] == expected.madds
        assert row["madds_paper"] == expected.madds_paper
        assert row["params"] == expected.params
    said = {}
    for split, (pixels, labels) in members.items():
        outputs = model(pixels.astype(np.float32) / 255, training=False)
        kept = predictions.load(layout.float_predictions, split)
        assert kept.logits.dtype == np.float32
        np.testing.assert_allclose(kept.logits, np.stack(outputs), atol=1e-6)
        np.testing.assert_array_equal(kept.labels, labels)
        said[split] = kept
    again = assessment.assess(
        "float",
        [each.madds for each in costs],
        said["calibration"],
        said["test"],
    )
    assert found["curves"] == again["curves"]
    assert overlay(found, again) == found
    for path in (layout.exits_table, layout.curves_table):
        assert path.read_text().startswith("kind,")
    assert len(layout.curves_table.read_text().splitlines()) == 1 + 2 + 39


def test_without_calibration_images(layout, config):
    pixels, labels = some_images(40, seed=0)
    prepared_data.write(layout.data, {"test": (pixels, labels)}, labels=3)
    saved_network(layout)
    evaluate.evaluate(config, layout)
    stage_results.publish(layout)
    found = metrics_file.read(layout.metrics)
    assert list(found["curves"]["float"]) == ["anytime"]
    with pytest.raises(ValueError, match="`split`"):
        predictions.load(layout.float_predictions, "calibration")
