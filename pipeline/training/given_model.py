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

from keras_dynamic.graph import inlining
from keras_dynamic.models.blocks import outside

# Of the images that are stored, as much more than the model sees as random
# crops need.
_ROOM = 1.15
# Where classes need not be named.
_KNOWN = ("keras", "keras_dynamic", "__main__")


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
    custom = _custom_classes(model)
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
        if custom:
            config.model.arguments.custom_objects = custom
        config.model.size = height
        config.model.classes = 0
        config.data.channels = channels
        config.data.size = max(config.data.size, round(_ROOM * height))


def _custom_classes(model: keras.Model) -> tuple[str, ...]:
    """Returns the places of the layer classes that are not Keras's or ours.

    One of the program itself, or of a function, can be found by this process
    alone, and only if it is registered.

    Raises:
        ValueError: If a layer is a Lambda, which would be code in the file.
    """
    found = {}
    for path, layer in inlining.layers_by_path(model).items():
        if isinstance(layer, keras.layers.Lambda):
            raise ValueError(
                "`model` must have no Lambda: code is not loaded from files. "
                "Write it as a layer class of yours with get_config(), or as "
                f"operations of keras.ops in the graph. Received: {path!r}"
            )
        kind = type(layer)
        package = kind.__module__.partition(".")[0]
        if package not in _KNOWN and "<locals>" not in kind.__qualname__:
            found[f"{kind.__module__}:{kind.__name__}"] = kind
    return tuple(found)


def _identity(model: keras.Model) -> str:
    """Hashes a model's graph and weights; a .keras file holds the time, too."""
    digest = hashlib.sha256(model.to_json().encode())
    for weight in model.weights:
        digest.update(keras.ops.convert_to_numpy(weight).tobytes())
    return digest.hexdigest()[:12]
