"""Loads a trained model, given or in a file."""

import os
import pathlib

import keras

from keras_dynamic import layers


def trained_model(
    argument: str, source: keras.Model | str | os.PathLike
) -> keras.Model:
    """Reads a model from a .keras file, or takes one.

    Args:
        argument: Name of the caller's argument, for errors.
        source: The model or its path.

    Raises:
        ValueError: If there is no such file, or it holds no functional model.
    """
    model = source
    if isinstance(source, str | os.PathLike):
        if not pathlib.Path(source).is_file():
            raise ValueError(
                f"`{argument}` must be an existing .keras file. "
                f"Received: {argument}={os.fspath(source)!r}"
            )
        try:
            model = keras.models.load_model(
                source,
                custom_objects={
                    name: getattr(layers, name) for name in layers.__all__
                },
                compile=False,
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
