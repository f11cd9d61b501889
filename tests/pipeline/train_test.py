"""Training for real, on the digits, in processes that can be killed."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pipeline import config as config_lib

_CONFIG = pathlib.Path(__file__).parent / "tiny_config.py"


def _command(verb, workdir, *flags):
    return [
        sys.executable,
        "-c",
        "from pipeline import cli; cli.main()",
        verb,
        f"--config={_CONFIG}",
        f"--workdir={workdir}",
        *flags,
    ]


def _weights(workdir):
    # The last state holds weights, statistics and the optimizer's variables.
    with np.load(workdir / "training" / "state.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_weights(tmp_path):
    through, killed = tmp_path / "through", tmp_path / "killed"
    subprocess.run(
        _command("prepare", through), check=True, capture_output=True
    )
    killed.mkdir()
    os.symlink(through / "data", killed / "data")

    subprocess.run(_command("train", through), check=True, capture_output=True)
    process = subprocess.Popen(
        _command("train", killed),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    state = killed / "training" / "state.npz"
    deadline = time.monotonic() + 300
    while not state.exists():
        assert process.poll() is None, "ended before its first epoch"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / "model").exists()
    again = subprocess.run(
        _command("train", killed), check=True, capture_output=True, text=True
    )
    assert "going on after epoch" in again.stderr

    ours, theirs = _weights(killed), _weights(through)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)


@pytest.mark.slow
def test_mixed_precision_gives_a_float32_model(tmp_path):
    done = subprocess.run(
        _command("prepare", tmp_path), check=True, capture_output=True
    )
    done = subprocess.run(
        _command(
            "train",
            tmp_path,
            "--config.train.precision=mixed_bfloat16",
            "--config.train.epochs=1",
        ),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    import keras

    model = keras.models.load_model(tmp_path / "model" / "float.keras")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_learning_rates_follow_the_schedule():
    # Imported here: TensorFlow takes seconds.
    from pipeline import train

    config = config_lib.load("ranet_cifar10_model1")
    rate = train.learning_rate(config, steps=10)
    epochs = [0, 149, 150, 224, 225, 299]
    found = [float(rate(epoch * 10 + 5)) for epoch in epochs]
    np.testing.assert_allclose(
        found, [0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rtol=1e-6
    )
    config.train.schedule = "cosine"
    rate = train.learning_rate(config, steps=10)
    np.testing.assert_allclose(
        [float(rate(0)), float(rate(1500)), float(rate(3000))],
        [0.1, 0.05, 0.0],
        atol=1e-7,
    )


def test_a_split_without_images_stops_before_training(tmp_path):
    from pipeline import prepare, train
    from pipeline.layout import Layout

    config = config_lib.load(str(_CONFIG))
    config.data.fractions.test = 0.0
    prepare.prepare(config, tmp_path / "data")
    with pytest.raises(ValueError, match="none in test"):
        train.train(config, Layout(tmp_path))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schedule", "linear"),
        ("precision", "float8"),
        ("select", "first"),
        ("epochs", 0),
    ],
)
def test_bad_settings_are_named(tmp_path, key, value):
    from pipeline import train
    from pipeline.layout import Layout

    config = config_lib.load(str(_CONFIG))
    config.train[key] = value
    with pytest.raises(ValueError, match=f"train.{key}"):
        train.train(config, Layout(tmp_path))
