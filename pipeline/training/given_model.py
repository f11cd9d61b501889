"""Keeps a model that a program gives, so that a configuration can name it.

Stages may run in other processes, and later: they build the model of the
configuration, which is data. A model in memory becomes a file of it.
"""

import hashlib
import pathlib
import tempfile
from typing import Any

import keras
import ml_collections

from keras_dynamic.models.blocks import outside

# Of the images that are stored, as much more than the model sees as random
# crops need.
_ROOM = 1.15


def take(
    config: ml_collections.ConfigDict, model: Any, directory: pathlib.Path
) -> None:
    """Saves a model, and sets a configuration to train it.

    Its name is that of its content: the same model, given again, changes
    nothing, and another one makes what was trained stale.

    Args:
        config: The configuration, of which `model`, `data.size` and
            `data.channels` are set.
        model: A functional model with an output of logits per exit.
        directory: Where the file goes.

    Raises:
        ValueError: If it is no such model.
    """
    outside.require_one_image(model)
    height, width, channels = model.inputs[0].shape[1:]
    if height != width or channels not in (1, 3):
        raise ValueError(
            "`model` must have a square input of 1 or 3 channels. "
            f"Received: {(height, width, channels)}"
        )
    if len(model.outputs) == 1:
        raise ValueError(
            "`model` must have an output per exit: "
            "keras_dynamic.attach_exits gives it some. "
            f"Received: {model.name!r} with one output"
        )
    classes = model.outputs[-1].shape[-1]
    outside.with_exit_names(model, (height, width, channels), classes)
    path = directory / f"given-{_identity(model)}.keras"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory) as temporary:
            made = pathlib.Path(temporary) / path.name
            model.save(made)
            made.replace(path)
    with config.unlocked():
        config.model.family = "keras_file"
        config.model.arguments = ml_collections.ConfigDict({"path": str(path)})
        config.model.size = height
        config.model.classes = 0
        config.data.channels = channels
        config.data.size = max(config.data.size, round(_ROOM * height))


def _identity(model: keras.Model) -> str:
    """Hashes a model's graph and weights; a .keras file holds the time, too."""
    digest = hashlib.sha256(model.to_json().encode())
    for weight in model.weights:
        digest.update(keras.ops.convert_to_numpy(weight).tobytes())
    return digest.hexdigest()[:12]
