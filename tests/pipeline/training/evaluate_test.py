import subprocess
import sys

import keras
import numpy as np
import pytest
import tf_keras

from keras_dynamic.graph import cost
from keras_dynamic.layers import BilinearResize
from pipeline.config import default
from pipeline.results import assessment, metrics_file, predictions
from pipeline.results.layout import Layout
from pipeline.training import evaluate
from tests.support import prepared_data


def test_a_model_with_our_layers_loads_in_a_new_process(tmp_path):
    inputs = keras.Input((4, 4, 1))
    layout = Layout(tmp_path)
    layout.float_model.parent.mkdir()
    keras.Model(inputs, BilinearResize(2, 2)(inputs)).save(layout.float_model)
    # Nothing that imports the layers comes before `evaluate`.
    code = (
        "import pathlib, sys; from pipeline.training import evaluate;"
        "from pipeline.results import layout;"
        "found = layout.Layout(pathlib.Path(sys.argv[1]));"
        "print(evaluate.load_model(found).output_shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "(None, 2, 2, 1)"


@pytest.fixture
def layout(tmp_path):
    (tmp_path / "data").mkdir()
    members = {"test": prepared_data.images(300, side=6, channels=1)}
    prepared_data.write(tmp_path / "data", members)
    return Layout(tmp_path)


def network(keras):
    """A model of either Keras with two exits."""
    inputs = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    x = keras.layers.BatchNormalization()(x)
    shallow = keras.layers.Dense(3)(keras.layers.Flatten()(x))
    x = keras.layers.Conv2D(4, 3, activation="relu")(x)
    deep = keras.layers.Dense(3)(keras.layers.Flatten()(x))
    return keras.Model(inputs, [shallow, deep])


@pytest.mark.parametrize("kind", [keras, tf_keras])
@pytest.mark.parametrize("memory_gib", [0.0, 1.0])
def test_predict_gives_every_exit_of_every_image(layout, kind, memory_gib):
    config = default()
    config.model.size = 6
    config.memory_gib = memory_gib
    pixels, labels = prepared_data.images(300, side=6, channels=1)
    model = network(kind)
    if kind is keras:
        model.jit_compile = False
    said = evaluate.predict(model, config, layout, "test")
    expected = model(pixels.astype(np.float32) / 255, training=False)
    assert said.logits.shape == (2, 300, 3)
    np.testing.assert_allclose(said.logits, np.stack(expected), atol=1e-6)
    np.testing.assert_array_equal(said.labels, labels)


def test_predict_with_one_exit(layout):
    config = default()
    config.model.size = 4
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, keras.layers.Flatten()(inputs)[:, :3])
    model.jit_compile = False
    said = evaluate.predict(model, config, layout, "test")
    pixels, _ = prepared_data.images(300, side=6, channels=1)
    expected = pixels[:, 1:5, 1:5].reshape(300, 16)[:, :3] / np.float32(255)
    np.testing.assert_array_equal(said.logits, [expected])


def saved_network(layout):
    model = network(keras)
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
    evaluate.evaluate(config, layout)

    found = metrics_file.read(layout.metrics)
    costs = cost.exit_costs(model)
    for row, expected in zip(found["exits"], costs, strict=True):
        assert row["madds"] == expected.madds
        assert row["madds_paper"] == expected.madds_paper
        assert row["params"] == expected.params
    again = {"exits": [{"madds": each.madds} for each in costs]}
    said = {}
    for split, (pixels, labels) in members.items():
        outputs = model(pixels.astype(np.float32) / 255, training=False)
        kept = predictions.load(layout.float_predictions, split)
        assert kept.logits.dtype == np.float32
        np.testing.assert_allclose(kept.logits, np.stack(outputs), atol=1e-6)
        np.testing.assert_array_equal(kept.labels, labels)
        said[split] = kept
    assessment.assess(again, "float", said["calibration"], said["test"])
    assert found["curves"] == again["curves"]
    for row, expected in zip(found["exits"], again["exits"], strict=True):
        assert expected.items() <= row.items()
    for path in (layout.exits_table, layout.curves_table):
        assert path.read_text().startswith("kind,")
    assert len(layout.curves_table.read_text().splitlines()) == 1 + 2 + 39


def test_without_calibration_images(layout, config):
    pixels, labels = some_images(40, seed=0)
    prepared_data.write(layout.data, {"test": (pixels, labels)}, labels=3)
    saved_network(layout)
    evaluate.evaluate(config, layout)
    found = metrics_file.read(layout.metrics)
    assert list(found["curves"]["float"]) == ["anytime"]
    with pytest.raises(ValueError, match="`split` must be one of test"):
        predictions.load(layout.float_predictions, "calibration")
