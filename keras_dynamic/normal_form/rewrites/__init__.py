"""Lists how layers and operations are rewritten, a kind per file.

Each module has `REWRITES`, a tuple of `Rewrite`.
"""

from collections.abc import Mapping

import keras

from keras_dynamic.normal_form.rewrite import Rewrite
from keras_dynamic.normal_form.rewrites import (
    arithmetic,
    convolving,
    elementwise,
    merging,
    normalizing,
    ours,
    pooling,
    preprocessing,
    rearranging,
    resizing,
    slicing,
)

_ALL = tuple(
    rewrite
    for module in (
        arithmetic,
        convolving,
        elementwise,
        merging,
        normalizing,
        ours,
        pooling,
        preprocessing,
        rearranging,
        resizing,
        slicing,
    )
    for rewrite in module.REWRITES
)

BY_LAYER: Mapping[type[keras.layers.Layer], Rewrite] = {
    layer: rewrite for rewrite in _ALL for layer in rewrite.layers
}
BY_NAME: Mapping[str, Rewrite] = {
    name: rewrite for rewrite in _ALL for name in rewrite.operations
}


def find(operation: keras.Operation) -> Rewrite | None:
    """Returns how a layer or operation is rewritten; None if it is not."""
    kind = type(operation)
    # Those of Keras alone: another's of the same name may mean anything.
    if kind not in BY_LAYER and kind.__module__.split(".")[0] == "keras":
        return BY_NAME.get(kind.__name__)
    return BY_LAYER.get(kind)
