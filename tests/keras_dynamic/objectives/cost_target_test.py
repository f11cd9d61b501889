import functools

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_dynamic import objectives
from keras_dynamic.graph import gating
from keras_dynamic.models.lcnet import lcnet
from keras_dynamic.objectives.cross_entropy import cross_entropy
from keras_dynamic.training.trainer import Trainer, deployed

RNG = np.random.default_rng(0)
LABELS = np.arange(8) % 3
LOGITS = [RNG.normal(0, 3, (8, 3)).astype(np.float32) for _ in range(2)]

# So little noise that what is counted is what runs.
HARD = (1e-4, 1e-4)
BACKBONE = {"family": "resnet", "blocks": 1, "widths": (4, 8)}


def network(**arguments) -> keras.Model:
    keras.utils.set_random_seed(0)
    return lcnet(
        input_shape=(8, 8, 1),
        classes=3,
        head_width=4,
        **{"backbone": BACKBONE, "channels": "groups", "groups": 2} | arguments,
    )


@functools.cache
def found() -> gating.Gating:
    return gating.gating(network(exits=(0,)))


def scores() -> list[np.ndarray]:
    """Of all gates, before they are clamped; about half of them below 0."""
    drawn = RNG.normal(0, 0.5, (len(found().names), 8, 1, 1, 1))
    return list(drawn.astype(np.float32))


def counted_as(values: np.ndarray, deviation: float) -> np.ndarray:
    """The probability of noisy scores to be above 0."""
    return scipy.stats.norm.cdf(values / deviation)


def term(made, outputs) -> float:
    """The loss without the cross-entropies."""
    own = made.loss(LABELS, outputs)
    return float(own - sum(cross_entropy(LABELS, each) for each in LOGITS))


def extended(objective=None, **gates) -> objectives.Extended:
    arguments = {"target": 0.3, "weight": 4.0} | (objective or {})
    made = objectives.build("cost_target", **arguments)
    return made.extend(network(exits=(0,), **gates))


@pytest.mark.parametrize(
    ("steps", "goal", "deviation"),
    [(0, 1.0, 0.4), (2, 0.65, 0.3), (4, 0.3, 0.2), (5, 0.3, 0.2)],
)
def test_the_mean_cost_is_drawn_to_a_falling_goal(steps, goal, deviation):
    made = extended(noise=(0.4, 0.2), annealing_steps=4)
    images = np.zeros((2, 8, 8, 1), np.float32)
    for _ in range(steps):
        made.model(images, training=True)
    given = scores()
    values = np.stack(given, 1)[..., 0, 0, 0].astype(float)
    shares = counted_as(values, deviation)
    mean = gating.dynamic_madds(found(), shares)[-1].mean()
    expected = 4.0 * (mean / found().dense - goal) ** 2
    assert term(made, [*LOGITS, *given]) == pytest.approx(
        expected, rel=1e-3, abs=1e-5
    )


@pytest.mark.parametrize(("steps", "goal"), [(0, 1.0), (2, 0.65), (4, 0.3)])
def test_bounds_hold_each_gate_at_the_goal_and_let_go(steps, goal):
    gates = {"noise": (0.4, 0.2), "annealing_steps": 4}
    plain, bound = extended(**gates), extended({"bounds": 0.5}, **gates)
    images = np.zeros((2, 8, 8, 1), np.float32)
    for _ in range(steps):
        plain.model(images, training=True)
        bound.model(images, training=True)
    given = scores()
    # Whatever is drawn, one gate is always open, and one always closed.
    given[0][:], given[1][:] = 3.0, -3.0
    values = np.stack(given, 1)[..., 0, 0, 0].astype(float)
    shares = counted_as(values, 0.4 - 0.2 * steps / 4).mean(axis=0)
    tight = np.cos(np.pi / 2 * steps / 4) ** 2
    above = np.maximum(shares - (1 - tight * (1 - goal)), 0)
    below = np.maximum(tight * goal - shares, 0)
    expected = 4.0 * 0.5 * np.mean((above + below) ** 2)
    outputs = [*LOGITS, *given]
    assert term(bound, outputs) - term(plain, outputs) == pytest.approx(
        expected, rel=1e-3, abs=1e-5
    )
    if steps == 4:
        assert expected == pytest.approx(0, abs=1e-12)
    else:
        assert expected > 0


def test_with_little_noise_the_cost_is_what_runs():
    made = extended(noise=HARD)
    given = scores()
    mean = gating.dynamic_madds(found(), gating.open_shares(given))[-1].mean()
    expected = 4.0 * (mean / found().dense - 0.3) ** 2
    assert term(made, [*LOGITS, *given]) == pytest.approx(expected, rel=1e-3)


def test_a_mask_costs_the_share_of_its_open_channels():
    model = network(channels="mask", layers=False, noise=HARD)
    objective = objectives.build("cost_target", target=0.5, weight=1.0)
    made = objective.extend(model)
    counted = gating.gating(model)
    given = [
        RNG.uniform(-1, 1, (8, *score.shape[1:])).astype(np.float32)
        for score in counted.scores
    ]
    mean = gating.dynamic_madds(counted, gating.open_shares(given)).mean()
    loss = made.loss(LABELS, [LOGITS[0], *given])
    assert float(loss - cross_entropy(LABELS, LOGITS[0])) == pytest.approx(
        (mean / counted.dense - 0.5) ** 2, rel=1e-3
    )


def test_scores_near_0_are_moved_most():
    made = extended({"weight": 1.0}, noise=(0.3, 0.3))
    given = [tf.constant(each) for each in scores()]
    with tf.GradientTape() as tape:
        tape.watch(given)
        loss = made.loss(LABELS, [*LOGITS, *given])
    values = np.stack(given)[..., 0, 0, 0].astype(float).T
    shares = counted_as(values, 0.3)
    mean = gating.dynamic_madds(found(), shares)[-1].mean()
    slope = 2 * (mean / found().dense - 0.3) / found().dense
    for gate, gradient in enumerate(tape.gradient(loss, given)):
        # What opening this gate would cost each image.
        costs = []
        for value in (1.0, 0.0):
            changed = shares.copy()
            changed[:, gate] = value
            costs.append(gating.dynamic_madds(found(), changed)[-1])
        density = scipy.stats.norm.pdf(values[:, gate], scale=0.3)
        expected = slope * (costs[0] - costs[1]) * density / 8
        np.testing.assert_allclose(
            np.ravel(gradient), expected, rtol=2e-3, atol=1e-8
        )


def test_outputs_behind_the_exits_are_the_scores():
    model = network(exits=(0,))
    objective = objectives.build("cost_target", target=0.5)
    longer = objective.extend(model).model
    assert len(longer.outputs) == 2 + len(found().gates)
    shorter = deployed(longer, 2)
    assert {each.name for each in longer.layers} == {
        each.name for each in shorter.layers
    }
    images = RNG.random((4, 8, 8, 1), np.float32)
    for ours, theirs in zip(shorter(images), model(images), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_exits_are_weighed():
    made = extended({"target": 1.0, "weight": 0.0, "weights": [2.0, 0.5]})
    expected = 2.0 * cross_entropy(LABELS, LOGITS[0])
    expected += 0.5 * cross_entropy(LABELS, LOGITS[1])
    loss = made.loss(LABELS, [*LOGITS, *scores()])
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


def test_each_loss_knows_its_own_model():
    arguments = {"target": 0.5, "weight": 2.0}
    objective = objectives.build("cost_target", **arguments)
    models = [
        network(exits=(0,), backbone=BACKBONE | {"widths": widths})
        for widths in ((4, 8), (8, 4))
    ]
    together = [objective.extend(model) for model in models]
    given = [*LOGITS, *scores()]
    alone = [
        objectives.build("cost_target", **arguments).extend(model)
        for model in models
    ]
    found = [term(each, given) for each in together]
    assert found == [term(each, given) for each in alone]
    assert found[0] != pytest.approx(found[1], rel=0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": 0.0}, "`target` must be a share.*target=0.0"),
        ({"bounds": -1.0}, "`bounds` must be a finite.*bounds=-1.0"),
        ({"target": 1.5}, "`target` must be a share.*target=1.5"),
        ({"weight": -1.0}, "`weight` must be .*not negative.*=-1.0"),
        ({"weight": float("nan")}, "`weight` must be a finite"),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        objectives.build("cost_target", **{"target": 0.5} | changes)


def test_a_model_without_gates_is_refused():
    x = keras.Input((3,))
    model = keras.Model(x, keras.layers.Dense(2, name="exit_0")(x), name="net")
    objective = objectives.build("cost_target", target=0.5)
    with pytest.raises(ValueError, match=r"`model`"):
        objective.extend(model)


def test_gates_without_noise_are_refused():
    objective = objectives.build("cost_target", target=0.5)
    with pytest.raises(ValueError, match="`model`"):
        objective.extend(network(noise=None))


def test_a_target_that_gates_cannot_reach_is_refused_with_the_range():
    least = found().always / found().dense
    objective = objectives.build("cost_target", target=least - 0.01)
    with pytest.raises(ValueError, match=f"from {least:.3f} to 1"):
        objective.extend(network(exits=(0,)))


def test_one_weight_per_exit():
    objective = objectives.build("cost_target", target=0.5, weights=[1.0])
    with pytest.raises(ValueError, match="`weights`"):
        objective.extend(network(exits=(0,)))


def test_training_reaches_the_target_and_kills_no_more_than_it_says():
    keras.utils.set_random_seed(0)
    model = lcnet(
        input_shape=(8, 8, 1),
        classes=2,
        backbone={"family": "resnet", "blocks": 4, "widths": (4,)},
        annealing_steps=40,
    )
    objective = objectives.build("cost_target", target=0.5)
    trainer = Trainer(model, objective)
    trainer.compile(
        optimizer=keras.optimizers.SGD(
            keras.optimizers.schedules.CosineDecay(0.05, 80), momentum=0.9
        ),
        jit_compile=False,
    )
    # Bright images and dark ones.
    images = np.random.default_rng(0).random((64, 8, 8, 1), np.float32)
    labels = np.arange(64) % 2
    images *= np.where(labels, 1.0, 0.5).astype(np.float32)[:, None, None, None]
    counted = gating.gating(model)
    probe = keras.Model(model.input, list(counted.scores))
    costs = []
    for step in range(80):
        trainer.train_on_batch(images, labels)
        if step >= 70:
            shares = gating.open_shares(probe.predict_on_batch(images))
            costs.append(gating.dynamic_madds(counted, shares).mean())
    assert np.mean(costs) / counted.dense == pytest.approx(0.5, abs=0.1)
    assert 0 < shares.mean() < 1
    logits = model.predict_on_batch(images)
    assert np.mean(logits.argmax(1) == labels) > 0.9
