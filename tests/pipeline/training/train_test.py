"""Training for real, on the digits, in processes that can be killed."""

import dataclasses
import json
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn import datasets

from pipeline.config import load
from tests.support import prepared_data

_CONFIG = pathlib.Path(__file__).parents[2] / "support" / "tiny_config.py"
_TRAIN = """
import ast, pathlib, sys
from absl import logging
from pipeline.config import load
from pipeline.results import layout
from pipeline.training import train
from pipeline.training.callbacks import Callback

class Seen(Callback):
    losses = []
    def epoch_ended(self, epoch, scalars):
        assert scalars["train/loss"] == epoch.loss
        self.losses.append(epoch.loss)

logging.set_verbosity(logging.INFO)
settings = load(sys.argv[1])
settings.update_from_flattened_dict(ast.literal_eval(sys.argv[3]))
where = layout.Layout(pathlib.Path(sys.argv[2]))
made = train.train(settings, where, [Seen()])
assert made.model == where.float_model
# Of the epochs before a kill, too, which nobody saw here.
assert len(made.history) == settings.train.epochs
losses = [each["train/loss"] for each in made.history]
assert losses[len(losses) - len(Seen.losses):] == Seen.losses
"""


def _command(workdir, **settings):
    return [sys.executable, "-c", _TRAIN, _CONFIG, workdir, repr(settings)]


def _prepare(workdir):
    """Writes the digits, 1797 of 8 x 8 pixels, in four splits."""
    digits = datasets.load_digits()
    images = (digits.images[..., None] * 255 / 16).astype(np.uint8)
    splits = {"train": 1200, "validation": 1400, "calibration": 1600}
    parts = zip(
        (*splits, "test"),
        np.split(images, list(splits.values())),
        np.split(digits.target, list(splits.values())),
        strict=True,
    )
    (workdir / "data").mkdir(parents=True)
    members = {split: (pixels, labels) for split, pixels, labels in parts}
    prepared_data.write(workdir / "data", members, shard_images=500)
    return workdir


def _state(workdir):
    # The last state holds weights, statistics and the optimizer's variables.
    with np.load(workdir / "training" / "state.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def _assert_same_state(first, second):
    ours, theirs = _state(first), _state(second)
    assert ours.keys() == theirs.keys()
    progress = [
        json.loads(str(each.pop("progress"))) for each in (ours, theirs)
    ]
    # Sums over portions of an epoch are rounded otherwise.
    for mine, other in zip(
        *(each.pop("history") for each in progress), strict=True
    ):
        assert mine == pytest.approx(other, rel=1e-5)
    assert progress[0] == progress[1]
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)


def _kill(workdir, *, when, **settings):
    """Trains until `when` is true of the state, a dict."""
    process = subprocess.Popen(
        _command(workdir, **settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    state = workdir / "training" / "state.npz"
    deadline = time.monotonic() + 300
    while not (state.exists() and when(_state(workdir))):
        assert process.poll() is None, "ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (workdir / "model").exists()


@pytest.fixture(scope="module")
def through(tmp_path_factory):
    """A training that nothing stopped."""
    workdir = _prepare(tmp_path_factory.mktemp("through"))
    subprocess.run(_command(workdir), check=True, capture_output=True)
    return workdir


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_weights(through, tmp_path):
    _kill(_prepare(tmp_path), when=lambda state: True)
    again = subprocess.run(
        _command(tmp_path), check=True, capture_output=True, text=True
    )
    assert "going on from the checkpoint" in again.stderr
    _assert_same_state(tmp_path, through)


@pytest.mark.slow
def test_one_killed_within_an_epoch_does_so_too(through, tmp_path):
    settings = {"train.checkpoint_steps": 5, "memory_gib": 0.0}
    _kill(
        _prepare(tmp_path),
        when=lambda state: '"step": 5' in str(state["progress"]),
        **settings,
    )
    again = subprocess.run(
        _command(tmp_path, **settings | {"train.checkpoint_steps": 7}),
        check=True,
        capture_output=True,
        text=True,
    )
    assert "going on from the checkpoint" in again.stderr
    assert ", step 0" not in again.stderr
    _assert_same_state(tmp_path, through)


RECIPE = {
    "train.schedule": "linear",
    "train.nesterov": True,
    "train.weight_decay_on": "kernels",
    "train.label_smoothing": 0.1,
    "train.average_decay": 0.9,
}


@pytest.mark.slow
@pytest.mark.parametrize("select", ["best", "last"])
def test_averages_survive_being_killed(tmp_path, select):
    """Killed within an epoch, and again when all epochs had ended."""
    import keras

    settings = RECIPE | {"train.select": select, "train.checkpoint_steps": 5}
    through, killed = (_prepare(tmp_path / name) for name in ("a", "b"))
    subprocess.run(
        _command(through, **settings), check=True, capture_output=True
    )
    _kill(
        killed,
        when=lambda state: '"step": 5' in str(state["progress"]),
        **settings,
    )
    models = []
    for workdir in (killed, killed, through):
        subprocess.run(
            _command(workdir, **settings), check=True, capture_output=True
        )
        path = workdir / "model" / "float.keras"
        models.append(keras.models.load_model(path).get_weights())
        path.unlink()
    _assert_same_state(killed, through)
    for first, *others in zip(*models, strict=True):
        for other in others:
            np.testing.assert_array_equal(first, other)
    # What is exported is the average, not the last step's weights.
    state = _state(through)
    if select == "last":
        assert not np.array_equal(models[0][0], state["model/0"])


@pytest.mark.slow
def test_mixed_precision_gives_a_float32_model(tmp_path):
    import keras

    settings = {"train.precision": "mixed_bfloat16", "train.epochs": 1}
    done = subprocess.run(
        _command(_prepare(tmp_path), **settings), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    model = keras.models.load_model(tmp_path / "model" / "float.keras")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert all(np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.slow
def test_a_training_starts_from_another_one(through, tmp_path):
    import keras

    path = through / "model" / "float.keras"
    settings = {
        "train.initial_weights": str(path),
        "train.learning_rate": 1e-9,
        "train.epochs": 1,
        "seed": 7,
    }
    done = subprocess.run(
        _command(_prepare(tmp_path), **settings), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert " 0 at random\n" in done.stderr
    first, second = (
        keras.models.load_model(each)
        for each in (path, tmp_path / "model" / "float.keras")
    )
    for old, new in zip(
        first.trainable_variables, second.trainable_variables, strict=True
    ):
        np.testing.assert_allclose(new, old, atol=1e-5, err_msg=old.path)


@pytest.mark.slow
def test_tensorboard_gets_every_epoch(through):
    from tensorboard.backend.event_processing import event_accumulator

    read = {
        run: event_accumulator.EventAccumulator(
            str(through / "logs" / run)
        ).Reload()
        for run in ("train", "validation")
    }
    tags = {run: {*each.Tags()["tensors"]} for run, each in read.items()}
    both = {"loss", "accuracy/exit_0", "accuracy/exit_1"}
    assert tags == {"train": both | {"learning_rate"}, "validation": both}
    for run, each in read.items():
        for tag in tags[run]:
            assert [event.step for event in each.Tensors(tag)] == [1, 2, 3]
    images = read["train"].Tags()["images"]
    assert {*images} == {f"images/{k}" for k in range(16)}

    def values(tag):
        return [
            float(event.tensor_proto.float_val[0])
            for event in read["train"].Tensors(tag)
        ]

    assert values("loss")[-1] < values("loss")[0]
    rates = values("learning_rate")
    assert rates == sorted(rates, reverse=True)


def test_portions_of_an_epoch_are_averaged():
    # Imported here: TensorFlow takes seconds.
    from pipeline.training import checkpoint, training_run

    progress = checkpoint.Progress(epoch=4)
    progress = training_run._advanced(progress, 10, {"loss": 1.0, "acc": 0.5})
    progress = training_run._advanced(progress, 12, {"loss": 4.0, "acc": 1.0})
    assert progress == dataclasses.replace(
        checkpoint.Progress(epoch=4),
        step=12,
        sums={"loss": 10.0 + 8.0, "acc": 5.0 + 2.0},
    )
    with pytest.raises(ValueError, match="loss=nan in epoch 5"):
        training_run._advanced(progress, 14, {"loss": float("nan")})


def test_settings_of_the_optimizer_are_those_of_a_configuration():
    from keras_dynamic.training.optimizers import Optimization

    train = load("vgg_cifar10").train
    settings = Optimization.of(train)
    assert settings.schedule == "linear"
    assert settings.weight_decay_on == train.weight_decay_on


def test_a_split_without_images_stops_before_training(tmp_path):
    from pipeline.results.layout import Layout
    from pipeline.training import train

    (tmp_path / "data").mkdir()
    members = {
        split: prepared_data.images(9, channels=1)
        for split in ("train", "validation", "calibration")
    }
    prepared_data.write(tmp_path / "data", members)
    config = load(str(_CONFIG))
    with pytest.raises(ValueError, match="none in test"):
        train.train(config, Layout(tmp_path))


def test_averages_are_refused_in_several_processes(monkeypatch, tmp_path):
    from pipeline.processes import group
    from pipeline.results.layout import Layout
    from pipeline.training import train

    monkeypatch.setattr(
        train.data_parallel, "join", lambda size: group.Member(0, 2)
    )
    config = load(str(_CONFIG))
    config.train.average_decay = 0.9
    with pytest.raises(ValueError, match=r"`train.average_decay`"):
        train.train(config, Layout(tmp_path))
