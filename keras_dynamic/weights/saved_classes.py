"""Names the classes in a .keras file that loading it would stumble over."""

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import keras

# What Keras's own deserialization finds by itself.
_KNOWN = ("keras", "keras_hub", "keras_cv", "keras_nlp", "builtins")
_ADVICE = (
    "write it as a layer class of yours with get_config(), registered by "
    "keras.saving.register_keras_serializable, or as operations of keras.ops "
    "in the graph, and save the model again"
)


def require_loadable(
    argument: str,
    path: str | os.PathLike[str],
    custom_objects: Mapping[str, Any],
) -> None:
    """Checks the classes of a .keras file, before anything of it is loaded.

    A file that cannot be read so is left to Keras, which says why.

    Args:
        argument: Name of the caller's argument, for errors.
        path: The file.
        custom_objects: Classes by name, beside Keras's and registered ones.

    Raises:
        ValueError: If it holds a Python lambda, which is code of whoever wrote
            the file, or a class that is not known.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return
    for layer, each in _objects(config, "the model"):
        kind, module = each["class_name"], each.get("module") or ""
        given = f"Received: {argument}={os.fspath(path)!r} with {layer}"
        if kind in ("Lambda", "__lambda__"):
            raise ValueError(
                f"`{argument}` must hold no Lambda, whose code is not loaded "
                f"from files: {_ADVICE}. {given} of class {kind}"
            )
        # Keras writes tensors, slices and arrays as `__tensor__` and so on.
        if kind == "function" or kind.startswith("__"):
            continue
        # Keras writes a module for each, null for one that is registered.
        if module.partition(".")[0] in _KNOWN or "module" not in each:
            continue
        name = each.get("registered_name") or kind
        if keras.saving.get_registered_object(name, custom_objects) is None:
            raise ValueError(
                f"`{argument}` must hold classes that are known: name this one "
                f"in `custom_objects`, such as ('{module or 'my_module'}:"
                f"{kind}',), or import its module before. {given} of class "
                f"{kind} of module {module!r}"
            )


def _objects(value: Any, layer: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields the objects in a configuration, each with the layer it is in."""
    if isinstance(value, list):
        for each in value:
            yield from _objects(each, layer)
    elif isinstance(value, dict):
        if isinstance(value.get("class_name"), str):
            config = value.get("config")
            if isinstance(config, dict) and isinstance(config.get("name"), str):
                layer = f"layer {config['name']!r}"
            yield layer, value
        for each in value.values():
            yield from _objects(each, layer)
