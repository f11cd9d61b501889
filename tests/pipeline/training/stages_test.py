"""Training in stages, on a few made-up images, in this process."""

import json

import keras
import ml_collections
import numpy as np
import pytest

from pipeline import config
from pipeline.results.layout import Layout
from pipeline.training import stage_checks, train
from pipeline.training.callbacks import Callback
from tests.support import prepared_data

ARGUMENTS = {
    "stem_width": 4,
    "widths": (4, 8),
    "depths": (1, 1),
    "residual": (),
    "head_widths": ((), ()),
}
STAGES = (
    {"epochs": 2, "freeze": "backbone", "augmentation": "flip"},
    {
        "epochs": 2,
        "size": 6,
        "optimizer": "adamw",
        "learning_rate": 1e-3,
        "average_decay": 0.9,
        "clip_norm": 1.0,
        "warm_up": 0.3,
    },
)


def settings(**changes):
    found = config.default()
    with found.unlocked():
        found.data.size, found.data.channels = 8, 3
        found.model.family, found.model.size = "vgg", 8
        found.model.arguments = ml_collections.ConfigDict(ARGUMENTS)
        found.train.epochs, found.train.batch_size = 2, 16
        for name, value in changes.items():
            found.train[name] = value
    return config.validated(found)


def prepared(root, seed=0):
    """Writes images whose class is their brightest channel."""
    (root / "data").mkdir(parents=True)
    generator = np.random.default_rng(seed)
    members = {}
    for split, count in {
        "train": 64,
        "validation": 24,
        "calibration": 8,
        "test": 8,
    }.items():
        labels = generator.integers(0, 3, count).astype(np.int32)
        pixels = generator.integers(0, 180, (count, 8, 8, 3), np.uint8)
        pixels[np.arange(count), :, :, labels] += 60
        members[split] = pixels, labels
    prepared_data.write(root / "data", members, labels=3)
    return Layout(root)


def state(layout):
    with np.load(layout.training / "state.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def assert_same(ours, theirs, **room):
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {"progress"}:
        np.testing.assert_allclose(ours[name], theirs[name], **room)


class Dies(Callback):
    """Ends the process, as it were, before the state of an epoch is written."""

    def __init__(self, number):
        self.number = number

    def epoch_ended(self, epoch, scalars):
        if epoch.number == self.number:
            raise KeyboardInterrupt


def test_a_run_killed_between_stages_and_within_one_ends_the_same(tmp_path):
    chosen = settings(stages=STAGES)
    whole, killed = (prepared(tmp_path / name) for name in "ab")
    made = train.train(chosen, whole)
    assert [each["train/stage"] for each in made.history] == [1, 1, 2, 2]
    # The third epoch is the first of the second stage: nothing of that stage
    # has been written but its best weights.
    for number in (2, 3, 4):
        with pytest.raises(KeyboardInterrupt):
            train.train(chosen, killed, [Dies(number)])
    again = train.train(chosen, killed)
    assert_same(state(killed), state(whole), rtol=0, atol=0)
    ours, theirs = (
        json.loads(str(state(x)["progress"])) for x in (killed, whole)
    )
    assert ours == theirs
    assert (ours["stage"], ours["stage_epoch"], ours["epoch"]) == (1, 2, 4)
    first, second = (
        keras.models.load_model(each.model) for each in (made, again)
    )
    assert first.input_shape == (None, 8, 8, 3)
    for one, other in zip(
        first.get_weights(), second.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("augmentation", ["none", "flip"])
def test_kept_features_train_what_the_images_do(tmp_path, augmentation):
    ends = []
    for gib in (1.0, 0.0):
        layout = prepared(tmp_path / str(gib))
        chosen = settings(
            freeze="backbone", augmentation=augmentation, feature_gib=gib
        )
        made = train.train(chosen, layout)
        kept = layout.training / "features"
        assert kept.exists() == bool(gib)
        ends.append((state(layout), made.history))
    (kept, history), (run, other) = ends
    assert_same(kept, run, rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(history, other, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)


def test_features_are_computed_once(tmp_path):
    layout = prepared(tmp_path)
    train.train(settings(freeze="backbone", augmentation="none"), layout)
    kept = layout.training / "features"
    before = {each.name: each.stat().st_mtime_ns for each in kept.iterdir()}
    assert {*before} >= {"key.txt", "train_0.npy", "validation_0.npy"}
    again = settings(freeze="backbone", augmentation="none", learning_rate=0.01)
    train.train(again, layout)
    after = {each.name: each.stat().st_mtime_ns for each in kept.iterdir()}
    assert after == before


@pytest.mark.parametrize("gib", [0.0, 1.0])
def test_caching_leaves_the_last_exit_as_it_was(tmp_path, gib):
    layout = prepared(tmp_path)
    first = train.train(settings(epochs=1), layout).model
    path = first.rename(tmp_path / "first.keras")
    chosen = settings(
        initial_weights=str(path),
        objective="layer_caching",
        freeze="backbone",
        augmentation="none",
        feature_gib=gib,
    )
    second = train.train(chosen, layout).model
    pixels = np.random.default_rng(1).random((5, 8, 8, 3), np.float32)
    (*earlier, last), (*now, unchanged) = (
        keras.models.load_model(each).predict_on_batch(pixels)
        for each in (path, second)
    )
    np.testing.assert_array_equal(last, unchanged)
    assert np.abs(earlier[0] - now[0]).max() > 1e-3


def test_zero_time_waste_in_the_order_of_its_paper(tmp_path):
    """First the backbone, then the classifiers, then the ensembles."""
    common = {"objective": "zero_time_waste", "augmentation": "none"}
    chosen = settings(
        stages=(
            {"epochs": 1},
            {"epochs": 1, "freeze": "backbone, *_ensemble*"} | common,
            {"epochs": 2, "freeze": "*, !*_ensemble*"} | common,
        ),
        select="last",
    )
    layout = prepared(tmp_path)
    ends = []

    class Kept(Callback):
        def epoch_ended(self, epoch, scalars):
            if epoch.number > 1:
                ends.append(state(layout))

    made = train.train(chosen, layout, [Kept()])
    ends.append(state(layout))
    # Each is what was written after the epoch before.
    model = keras.models.load_model(made.model)
    assert len(model.outputs) == 2
    assert any("_ensemble" in layer.name for layer in model.layers)
    classifiers, ensembles = ends[1], ends[-1]
    same = [
        np.array_equal(classifiers[name], ensembles[name])
        for name in sorted(classifiers)
        if name.startswith("model/")
    ]
    assert sum(same) > len(same) / 2
    assert not all(same)


def test_it_stops_when_nothing_is_gained(tmp_path):
    chosen = settings(
        stages=({"epochs": 9, "stop_after": 2}, {"epochs": 1}),
        learning_rate=0.0,
        freeze="backbone",
        augmentation="none",
    )
    made = train.train(chosen, prepared(tmp_path))
    assert [each["train/stage"] for each in made.history] == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("stage", "key"),
    [
        ({"freeze": "bakcbone"}, r"train\.stages\[1\]\.freeze"),
        ({"freeze": "*"}, r"train\.stages\[1\]\.freeze"),
        ({"batch_size": 65}, r"train\.stages\[1\]\.batch_size"),
        ({"size": 1}, r"train\.stages\[1\]\.size"),
        (
            {"optimizer_arguments": {"beta": 1}},
            r"train\.stages\[1\]\.optimizer_arguments",
        ),
        (
            {"optimizer": "adamw", "optimizer_arguments": {"beta": 1}},
            r"train\.stages\[1\]\.optimizer_arguments",
        ),
        (
            {"augmentation_options": {"pixels": 1}},
            r"train\.stages\[1\]\.augmentation_options",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_step(stage, key):
    with pytest.raises(ValueError, match=f"`{key}`"):
        stage_checks.check(settings(stages=({}, stage)), 3, 64)


def test_stages_are_for_one_process(monkeypatch, tmp_path):
    from pipeline.processes import group

    monkeypatch.setattr(
        train.data_parallel, "join", lambda size: group.Member(0, 2)
    )
    with pytest.raises(ValueError, match=r"`train\.stages`"):
        train.train(settings(stages=({}, {})), Layout(tmp_path))
