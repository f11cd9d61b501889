"""One backend's numbers are the other's."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

_SCRIPT = pathlib.Path(__file__).parents[2] / "support" / "training_step.py"


def _start(backend, output):
    return subprocess.Popen(
        [sys.executable, str(_SCRIPT), str(output)],
        # What the tests run from, and no time in XLA's optimiser.
        env=os.environ
        | {
            "KERAS_BACKEND": backend,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "XLA_FLAGS": "--xla_backend_optimization_level=0",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs JAX")
def test_a_training_step_is_the_same_on_both_backends(tmp_path):
    files = {name: tmp_path / f"{name}.npz" for name in ("tensorflow", "jax")}
    started = [_start(name, path) for name, path in files.items()]
    for process in started:
        _, errors = process.communicate()
        assert process.returncode == 0, errors[-2000:]
    ours, theirs = (np.load(path) for path in files.values())
    assert set(ours) == set(theirs)
    losses = [name for name in ours if name.endswith("/loss")]
    assert {"ranet/joint/loss", "msdnet/joint/loss"} <= set(losses)
    assert len(losses) > 2
    for name in ours:
        np.testing.assert_allclose(
            ours[name], theirs[name], rtol=1e-5, atol=1e-5, err_msg=name
        )
    moved = [ours[name] for name in ours if name.endswith(" moved")]
    assert np.mean(np.array(moved) > 1e-3) > 0.8
