import keras
import numpy as np
import pytest

from keras_dynamic import objectives
from keras_dynamic.objectives.cross_entropy import cross_entropy
from keras_dynamic.training.trainer import Trainer, deployed

RNG = np.random.default_rng(0)
IMAGES = RNG.random((40, 6), np.float32)
LABELS = RNG.integers(0, 3, 40)


def network(regularizer=None) -> keras.Model:
    keras.utils.set_random_seed(0)
    features = keras.Input((6,))
    first = keras.layers.Dense(8, "relu", kernel_regularizer=regularizer)(
        features
    )
    second = keras.layers.Dense(8, "relu")(first)
    exits = [keras.layers.Dense(3)(x) for x in (first, second)]
    return keras.Model(features, exits)


def trainer(model: keras.Model, objective=None) -> Trainer:
    return Trainer(
        model,
        objective or objectives.build("joint"),
        optimizer=keras.optimizers.SGD(0.1),
    )


def joint_loss(model: keras.Model) -> float:
    extended = objectives.build("joint").extend(model)
    return float(extended.loss(LABELS, logits(model)))


def logits(model: keras.Model) -> list[np.ndarray]:
    return [np.asarray(each) for each in model(IMAGES, training=False)]


def test_evaluation_is_the_objective_and_every_exit_s_accuracy():
    model = network()
    scores = trainer(model).evaluate(
        IMAGES, LABELS, batch_size=16, verbose=0, return_dict=True
    )
    assert set(scores) == {"loss", "accuracy_0", "accuracy_1"}
    assert scores["loss"] == pytest.approx(joint_loss(model), rel=1e-5)
    for k, each in enumerate(logits(model)):
        accuracy = np.mean(each.argmax(axis=1) == LABELS)
        assert scores[f"accuracy_{k}"] == pytest.approx(accuracy)


def test_a_step_goes_down_the_gradient_of_the_objective():
    objective = objectives.build("joint", weights=(0.5, 2.0))
    model = network()
    extended = objective.extend(model)
    bias = model.layers[1].bias
    start = np.asarray(bias)

    def loss_at(value: np.ndarray) -> float:
        bias.assign(value)
        return float(extended.loss(LABELS, logits(model)))

    small = 1e-2 * np.eye(8, dtype=np.float32)
    gradient = [
        (loss_at(start + change) - loss_at(start - change)) / 2e-2
        for change in small
    ]
    before = loss_at(start)
    history = (
        trainer(model, objective)
        .fit(IMAGES, LABELS, batch_size=40, verbose=0)
        .history
    )
    # The loss of an epoch of one batch is that before its step.
    assert history["loss"][0] == pytest.approx(before, rel=1e-5)
    expected = start - 0.1 * np.array(gradient)
    np.testing.assert_allclose(np.asarray(bias), expected, atol=1e-3)
    assert np.abs(expected - start).max() > 1e-2


def test_weights_are_those_of_the_wrapped_model():
    model = network()
    wrapped = trainer(model)
    before = [weight.copy() for weight in model.get_weights()]
    wrapped.fit(IMAGES, LABELS, batch_size=20, verbose=0)
    assert len(wrapped.trainable_variables) == len(before)
    for ours, theirs in zip(
        wrapped.trainable_variables, model.trainable_variables, strict=True
    ):
        assert ours is theirs
    for old, new in zip(before, model.get_weights(), strict=True):
        assert not np.array_equal(old, new)


def test_each_epoch_counts_its_own_accuracy():
    model = network()
    wrapped = trainer(model)
    arguments = {"batch_size": 40, "verbose": 0, "return_dict": True}
    first = wrapped.evaluate(IMAGES, LABELS, **arguments)
    right = logits(model)[1].argmax(axis=1)
    perfect = wrapped.evaluate(IMAGES, right, **arguments)
    assert perfect["accuracy_1"] == 1.0
    assert wrapped.evaluate(IMAGES, LABELS, **arguments) == first


def test_losses_of_the_layers_are_added():
    model = network(keras.regularizers.L2(0.1))
    scores = trainer(model).evaluate(
        IMAGES, LABELS, batch_size=40, verbose=0, return_dict=True
    )
    penalty = 0.1 * np.sum(model.layers[1].get_weights()[0] ** 2)
    expected = joint_loss(model) + penalty
    assert scores["loss"] == pytest.approx(expected, rel=1e-5)


def test_what_only_the_loss_looks_at_is_neither_counted_nor_deployed():
    model = network()
    doubled = keras.layers.Rescaling(2.0)

    def loss(labels, outputs, taught=None):
        assert taught is None
        return cross_entropy(labels, outputs[2])

    def extend(model: keras.Model) -> objectives.Extended:
        extra = doubled(model.outputs[0])
        longer = keras.Model(model.input, [*model.outputs, extra])
        return objectives.Extended(longer, loss)

    wrapped = trainer(model, objectives.Objective(extend))
    scores = wrapped.evaluate(
        IMAGES, LABELS, batch_size=40, verbose=0, return_dict=True
    )
    assert set(scores) == {"loss", "accuracy_0", "accuracy_1"}
    expected = cross_entropy(LABELS, 2 * logits(model)[0])
    assert scores["loss"] == pytest.approx(float(expected), rel=1e-5)
    shipped = deployed(wrapped.model, wrapped.exits)
    for ours, theirs in zip(logits(shipped), logits(model), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_teacher_sees_the_images_of_the_batch():
    features = keras.Input((6,))
    teacher = keras.Model(features, keras.layers.Dense(3)(features))
    teacher.trainable = False
    model = network()

    def loss(labels, outputs, taught=None):
        return keras.ops.mean((outputs[-1] - taught) ** 2)

    def extend(model: keras.Model) -> objectives.Extended:
        return objectives.Extended(model, loss)

    wrapped = trainer(model, objectives.Objective(extend, teacher))
    expected = np.mean((logits(model)[-1] - np.asarray(teacher(IMAGES))) ** 2)
    before = teacher.get_weights()
    history = wrapped.fit(IMAGES, LABELS, batch_size=40, verbose=0).history
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)
    assert wrapped.trainable_variables == model.trainable_variables
    state = {id(variable) for variable in wrapped.non_trainable_variables}
    assert {id(variable) for variable in teacher.variables} <= state
    for ours, theirs in zip(teacher.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_model_with_one_exit():
    features = keras.Input((6,))
    model = keras.Model(features, keras.layers.Dense(3)(features))
    scores = trainer(model).evaluate(
        IMAGES, LABELS, batch_size=40, verbose=0, return_dict=True
    )
    assert set(scores) == {"loss", "accuracy_0"}


def test_a_name_is_enough():
    histories, weights = [], []
    for objective in ("joint", objectives.build("joint")):
        model = network()
        history = trainer(model, objective).fit(
            IMAGES, LABELS, batch_size=20, epochs=2, shuffle=False, verbose=0
        )
        histories.append(history.history)
        weights.append(model.get_weights())
    assert histories[0] == histories[1]
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_it_needs_no_compiling_and_takes_callbacks():
    keras.utils.set_random_seed(0)
    wrapped = Trainer(network(), "boosted")
    stop = keras.callbacks.EarlyStopping("loss", min_delta=1e9, patience=0)
    history = wrapped.fit(
        IMAGES, LABELS, epochs=5, callbacks=[stop], verbose=0
    ).history
    assert set(history) == {"loss", "accuracy_0", "accuracy_1"}
    assert len(history["loss"]) == 2
    said = wrapped.deployed()(IMAGES)
    ensembles = wrapped.model(IMAGES)
    for ours, theirs in zip(said, ensembles, strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize("name", ["loss", "metrics"])
def test_loss_and_metrics_are_the_objective_s(name):
    with pytest.raises(ValueError, match="`settings`"):
        Trainer(network(), "joint", **{name: ["mse"]})


def test_an_objective_that_does_not_exist():
    with pytest.raises(ValueError, match="`name`"):
        Trainer(network(), "jiont")


def test_labels_that_are_no_integers_of_a_batch():
    one_hot = np.eye(3, dtype=np.float32)[LABELS]
    with pytest.raises(ValueError, match="`y`"):
        trainer(network()).fit(IMAGES, one_hot, verbose=0)


def test_weighted_samples_are_refused():
    with pytest.raises(ValueError, match="`sample_weight`"):
        trainer(network()).fit(
            IMAGES, LABELS, sample_weight=np.ones(40), verbose=0
        )


def test_what_is_frozen_stays_and_the_rest_learns_from_features():
    def named() -> keras.Model:
        keras.utils.set_random_seed(0)
        x = features = keras.Input((6,))
        exits = []
        for k in range(2):
            x = keras.layers.Dense(8, "relu", name=f"block{k}")(x)
            x = keras.layers.BatchNormalization(name=f"block{k}_bn")(x)
            exits.append(
                keras.layers.Dense(
                    3, kernel_regularizer="l2", name=f"exit_{k}"
                )(x)
            )
        return keras.Model(features, exits)

    ends, losses = [], []
    for cached in (False, True):
        model = named()
        before = [weight.copy() for weight in model.get_weights()]
        wrapped = Trainer(
            model,
            "joint",
            optimizer=keras.optimizers.SGD(0.1),
            freeze="backbone",
        )
        assert len(wrapped.trainable_variables) == 4
        inputs = IMAGES
        if cached:
            inputs = list(map(np.asarray, wrapped.split.features(IMAGES)))
        for _ in range(3):
            told = wrapped.train_on_batch(inputs, LABELS, return_dict=True)
            losses.append(float(told["loss"]))
        ends.append(model.get_weights())
        for weight, old, variable in zip(
            model.get_weights(), before, model.weights, strict=True
        ):
            trained = variable.path.startswith("exit_")
            assert np.array_equal(weight, old) != trained, variable.path
    assert losses[:3] == pytest.approx(losses[3:], rel=1e-6)
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_word_that_freezes_nothing():
    with pytest.raises(ValueError, match="`freeze`"):
        Trainer(network(), "joint", freeze="bakcbone")
