"""Loads a trained model, given or in a file."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import keras

from keras_dynamic import layers
from keras_dynamic.weights import saved_classes


def trained_model(
    argument: str,
    source: keras.Model | str | os.PathLike,
    custom_objects: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Reads a model from a .keras file, or takes one.

    Args:
        argument: Name of the caller's argument, for errors.
        source: The model or its path.
        custom_objects: Classes in the file, by name, that are neither Keras's
            nor ours nor registered.

    Raises:
        ValueError: If there is no such file, or it holds no functional model,
            or a Lambda or a class that is not known.
    """
    model = source
    if isinstance(source, str | os.PathLike):
        if not pathlib.Path(source).is_file():
            raise ValueError(
                f"`{argument}` must be an existing .keras file. "
                f"Received: {argument}={os.fspath(source)!r}"
            )
        known = {name: getattr(layers, name) for name in layers.__all__}
        known |= custom_objects or {}
        saved_classes.require_loadable(argument, source, known)
        try:
            model = keras.models.load_model(
                source, custom_objects=known, compile=False, safe_mode=True
            )
        except Exception as error:
            # What a damaged file raises depends on where it is damaged.
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ValueError(
                f"`{argument}` must be a .keras file that Keras can read. "
                f"Received: {argument}={os.fspath(source)!r}: {reason}"
            ) from error
    if not isinstance(model, keras.Model) or not getattr(
        model, "outputs", None
    ):
        raise ValueError(
            f"`{argument}` must be a functional keras.Model or the path of "
            f"one. Received: {argument}={source!r}"
        )
    return model
