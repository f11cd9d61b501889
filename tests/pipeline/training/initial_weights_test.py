import keras
import numpy as np
import pytest
from absl import logging

from pipeline.training import initial_weights


def network(classes: int, name: str = "net", **hidden: int) -> keras.Model:
    x = inputs = keras.Input((3,))
    for layer, width in hidden.items():
        x = keras.layers.Dense(width, name=layer)(x)
        x = keras.layers.BatchNormalization(name=f"{layer}_norm")(x)
    logits = keras.layers.Dense(classes, name="exit_0_logits")(x)
    return keras.Model(inputs, logits, name=name)


@pytest.fixture
def trained(tmp_path):
    """A model and its file."""
    model = network(4, a=5, b=6)
    model.set_weights([w + 0.5 for w in model.get_weights()])
    path = str(tmp_path / "float.keras")
    model.save(path)
    return model, path


def test_other_classes_keep_what_fits(trained, caplog):
    model, path = trained
    fresh = network(7, a=5, b=6)
    before = fresh.get_layer("exit_0_logits").get_weights()
    logging.set_verbosity(logging.INFO)
    initial_weights.load(path, fresh)
    for name in ("a", "a_norm", "b", "b_norm"):
        for ours, theirs in zip(
            fresh.get_layer(name).get_weights(),
            model.get_layer(name).get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(
        fresh.get_layer("exit_0_logits").get_weights(), before, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert "4 layers start with" in caplog.text
    assert "1 at random: exit_0_logits" in caplog.text


def test_more_layers_start_at_random(trained):
    model, path = trained
    longer = network(4, a=5, c=5, b=6)
    initial_weights.load(path, longer)
    np.testing.assert_array_equal(
        longer.get_layer("a").kernel, model.get_layer("a").kernel
    )
    assert (np.abs(longer.get_layer("c").bias) == 0).all()


def test_a_model_of_which_nothing_fits(trained):
    other = network(9, x=2)
    with pytest.raises(ValueError, match=r"`train\.initial_weights`"):
        initial_weights.load(trained[1], other)


@pytest.mark.parametrize("content", [None, b"", b"no model"])
def test_a_file_that_is_no_model(tmp_path, content):
    path = tmp_path / "float.keras"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"`train\.initial_weights`"):
        initial_weights.load(str(path), network(4, a=5))
