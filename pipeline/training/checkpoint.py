"""Keeps the state of a training in one file.

Everything that the next step depends on is in it: weights, moving statistics,
the states of random layers and the optimizer's variables. (The order of the
data follows from the seed and the epoch.) It is written whole, so a killed
training goes on from there and ends with the weights it would have had anyway.
"""

import dataclasses
import json
import pathlib
import zipfile
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from pipeline.storage import publishing

_DAMAGED = (
    zipfile.BadZipFile,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
)


@dataclasses.dataclass(frozen=True)
class Progress:
    """Tells how far a training has come.

    Attributes:
        epoch: Finished epochs.
        best_epoch: The epoch, counted from 1, whose weights are kept; of the
            present stage, as `best_accuracy`.
        best_accuracy: Validation accuracy of `best_epoch` at the last exit.
        fingerprint: Hash of the configuration and data that it trains with.
        step: Finished steps of the epoch after the finished ones.
        sums: Sums of the loss and of each accuracy over these steps.
        history: Loss and accuracies after each finished epoch, by name.
        stage: Number of the stage, from 0.
        stage_epoch: Finished epochs of the stage.
        gain_epoch: The epoch of the stage, counted from 1, that gained last.
        gain_accuracy: Mean validation accuracy of the exits in that epoch.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_accuracy: float = -1.0
    fingerprint: str = ""
    step: int = 0
    sums: Mapping[str, float] = dataclasses.field(default_factory=dict)
    history: Sequence[Mapping[str, float]] = dataclasses.field(
        default_factory=list
    )
    stage: int = 0
    stage_epoch: int = 0
    gain_epoch: int = 0
    gain_accuracy: float = -1.0


def save_weights(path: pathlib.Path, model: keras.Model) -> None:
    """Writes the weights alone to `path`, atomically."""
    _write(path, _model_arrays(model))


def restore_weights(path: pathlib.Path, model: keras.Model) -> None:
    """Reads the weights at `path` into `model`."""
    with np.load(path) as arrays:
        _set_weights(model, arrays)


def save(
    path: pathlib.Path,
    progress: Progress,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
) -> None:
    """Writes the state of a training to `path`, atomically."""
    arrays = _model_arrays(model)
    for i, variable in enumerate(optimizer.variables):
        arrays[f"optimizer/{i}"] = keras.ops.convert_to_numpy(variable)
    for i, variable in enumerate(_random_states(model)):
        arrays[f"random/{i}"] = keras.ops.convert_to_numpy(variable)
    arrays["progress"] = np.array(json.dumps(dataclasses.asdict(progress)))
    _write(path, arrays)


def stage(path: pathlib.Path, fingerprint: str) -> int:
    """Reads the number of the stage of a training that was killed, or 0.

    It tells which model `restore` is to be given.

    Raises:
        ValueError: If the file is damaged.
    """
    if not path.exists():
        return 0
    try:
        with np.load(path) as arrays:
            progress = Progress(**json.loads(str(arrays["progress"])))
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    return progress.stage if progress.fingerprint == fingerprint else 0


def restore(
    path: pathlib.Path,
    fingerprint: str,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
) -> Progress:
    """Reads the state at `path` into `model` and a built `optimizer`.

    Returns:
        The progress of that training; a fresh `Progress`, and nothing read,
        if there is no file or one of another configuration.

    Raises:
        ValueError: If the file is damaged or holds another model's weights.
    """
    fresh = Progress(fingerprint=fingerprint)
    random = _random_states(model)
    if not path.exists():
        return fresh
    try:
        with np.load(path) as arrays:
            progress = Progress(**json.loads(str(arrays["progress"])))
            if progress.fingerprint != fingerprint:
                return fresh
            state = [
                arrays[f"{kind}/{i}"]
                for kind, variables in (
                    ("optimizer", optimizer.variables),
                    ("random", random),
                )
                for i in range(len(variables))
            ]
            _set_weights(model, arrays)
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    variables = [*optimizer.variables, *random]
    for variable, value in zip(variables, state, strict=True):
        variable.assign(value)
    return progress


def _damaged(path, error) -> ValueError:
    return ValueError(
        "`path` must be a whole checkpoint of this model; remove it to "
        f"begin again. Received: {path}: {error}"
    )


def _random_states(model):
    """Lists the states of random layers, such as dropout, not weights."""
    others = {id(each) for each in (*model.weights, *model.metrics_variables)}
    return [each for each in model.variables if id(each) not in others]


def _model_arrays(model):
    return {f"model/{i}": w for i, w in enumerate(model.get_weights())}


def _set_weights(model, arrays):
    count = len(model.weights)
    model.set_weights([arrays[f"model/{i}"] for i in range(count)])


def _write(path, arrays):
    with publishing.published(path) as stage, open(stage, "wb") as file:
        np.savez(file, **arrays)
