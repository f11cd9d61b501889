import keras
import numpy as np
import pytest

from keras_dynamic import objectives
from keras_dynamic.graph import cost
from keras_dynamic.objectives import Extended
from keras_dynamic.objectives.cross_entropy import cross_entropy as ours
from keras_dynamic.training.trainer import Trainer, deployed
from tests.support.toy_exits import (
    IMAGES,
    LABELS,
    assert_same,
    chain,
    cross_entropy,
    gradients,
    log_softmax,
    step,
)


def extended(exits: int = 4, backbone: keras.Model | None = None) -> Extended:
    """With weights that a wrong ensemble would not agree with."""
    backbone = backbone or chain(exits, 1)
    objective = objectives.build("zero_time_waste", backbone=backbone)
    made = objective.extend(chain(exits))
    rng = np.random.default_rng(0)
    for layer in made.model.layers:
        if "_ensemble" in layer.name:
            for weight in layer.weights:
                weight.assign(rng.normal(0, 0.5, weight.shape))
    return made


def outputs(model: keras.Model) -> list[np.ndarray]:
    return [np.asarray(each) for each in model(IMAGES, training=False)]


def test_the_exits_are_the_paper_s_geometric_ensembles():
    model = extended(4).model
    found = outputs(model)
    exits, classifiers = found[:4], found[4:]
    assert len(classifiers) == 3
    for m in range(3):
        mean = np.mean(
            [
                np.exp(
                    float(model.get_layer(f"exit_{m}_ensemble_{j}").log_ratio)
                )
                * log_softmax(classifiers[j])
                for j in range(m + 1)
            ],
            axis=0,
        )
        bias = np.asarray(model.get_layer(f"exit_{m}_ensemble").bias)
        np.testing.assert_allclose(
            log_softmax(exits[m]), log_softmax(mean + bias), atol=1e-5
        )


def test_the_last_exit_is_the_backbone_s():
    backbone = chain(4, 1)
    expected = outputs(backbone)[-1]
    found = outputs(extended(4, backbone).model)[3]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_cascade_is_a_dense_layer_on_features_and_logits():
    model = extended(3).model
    pooled = keras.Model(model.input, model.get_layer("exit_1_0").output)
    both = np.concatenate(
        [np.asarray(pooled(IMAGES, training=False)), outputs(model)[3]], axis=1
    )
    dense, cascade = (
        model.get_layer(name).get_weights()
        for name in ("exit_1", "exit_1_cascade")
    )
    expected = both @ np.concatenate([dense[0], cascade[0]]) + dense[1]
    np.testing.assert_allclose(outputs(model)[4], expected, atol=1e-5)


def test_the_loss_is_that_of_classifiers_and_ensembles():
    objective = objectives.build("zero_time_waste", backbone=chain(4, 1))
    made = objective.extend(chain(4))
    values = outputs(made.model)
    ensembles, classifiers = values[:3], values[4:]
    expected = np.mean([cross_entropy(each) for each in classifiers])
    expected += np.mean([cross_entropy(each) for each in ensembles])
    loss = made.loss(LABELS, values)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_classifiers_and_ensembles_are_trained_apart():
    made = extended(4)
    model = made.model
    found = gradients(model, lambda values: made.loss(LABELS, values))
    assert not any(path.startswith("block") for path in found)
    assert not any(path.startswith("exit_3") for path in found)
    for m in range(3):
        # Each classifier by its own cross-entropy alone.
        own = gradients(
            model, lambda values, m=m: ours(LABELS, values[4 + m]) / 3
        )
        assert_same(
            found,
            own,
            lambda path, m=m: (
                path.startswith(f"exit_{m}") and "_ensemble" not in path
            ),
        )
        theirs = gradients(
            model, lambda values, m=m: ours(LABELS, values[m]) / 3
        )
        assert_same(
            found,
            theirs,
            lambda path, m=m: path.startswith(f"exit_{m}_ensemble"),
        )


def test_a_step_leaves_the_backbone(tmp_path):
    backbone = chain(3, 1)
    backbone.save(tmp_path / "backbone.keras")
    objective = objectives.build(
        "zero_time_waste", backbone=str(tmp_path / "backbone.keras")
    )
    trainer = Trainer(chain(3), objective)
    expected = {w.path: np.asarray(w) for w in backbone.weights}
    before = {w.path: np.asarray(w) for w in trainer.model.weights}
    assert np.isfinite(step(trainer))
    for weight in trainer.model.weights:
        path, value = weight.path, np.asarray(weight)
        if path.startswith(("exit_0", "exit_1")):
            assert not np.array_equal(value, before[path]), path
        else:
            np.testing.assert_array_equal(value, expected[path], err_msg=path)


def test_every_layer_is_deployed_and_costs_are_found():
    model = extended(4).model
    shipped = deployed(model, 4)
    assert {x.name for x in shipped.layers} == {x.name for x in model.layers}
    plain, found = cost.exit_costs(chain(4)), cost.exit_costs(shipped)
    for m, (row, before) in enumerate(zip(found, plain, strict=True)):
        assert row.feature_shape == before.feature_shape
        assert row.madds == before.madds + min(m, 2) * 3 * 3


def test_a_model_with_one_exit_is_refused():
    objective = objectives.build("zero_time_waste", backbone=chain(1))
    with pytest.raises(ValueError, match="more than one exit"):
        objective.extend(chain(1))


def test_a_backbone_without_some_layers_stops_the_set_up():
    whole = chain(3)
    exit_2 = keras.layers.Dense(3, name="exit_2")(whole.input)
    part = keras.Model(whole.input, exit_2, name="part")
    objective = objectives.build("zero_time_waste", backbone=part)
    with pytest.raises(ValueError, match="'part' without"):
        objective.extend(chain(3))


def test_a_backbone_with_another_end_stops_the_set_up():
    boosted = objectives.build("boosted").extend(chain(3)).model
    objective = objectives.build("zero_time_waste", backbone=boosted)
    with pytest.raises(ValueError, match=r"'exit_2'.*'exit_2_boosted'"):
        objective.extend(chain(3))


def test_without_a_backbone_the_model_keeps_its_own():
    model = chain(3)
    before = outputs(model)[-1]
    made = objectives.build("zero_time_waste").extend(model)
    np.testing.assert_array_equal(outputs(made.model)[2], before)
    trained = {each.path.split("/")[0] for each in made.model.trainable_weights}
    assert {name[:6] for name in trained} == {"exit_0", "exit_1"}
