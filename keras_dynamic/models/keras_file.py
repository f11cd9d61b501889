"""Builds a model from a saved .keras file: a user's, with its weights."""

from collections.abc import Sequence

import keras

from keras_dynamic.graph import inlining
from keras_dynamic.models.attach_exits import attach_exits
from keras_dynamic.models.blocks import importing, outside
from keras_dynamic.weights.loading import trained_model


def keras_file(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    path: str = "",
    at: int | Sequence[str] | None = None,
    head: str = "dense",
    head_width: int | None = None,
    custom_objects: Sequence[str] = (),
) -> keras.Model:
    """Loads a functional or Sequential model, and attaches exits.

    Images come as float32 in [0, 1]: what else it expects its first layers must
    make of them, such as `Rescaling`. Code is not loaded: a Lambda is refused.

    Args:
        input_shape: Height, width and channels of the input, float32 in [0, 1].
            They are given to a model whose input has none.
        classes: Number of classes; every exit gives logits [batch, classes].
        path: Path of the file.
        at: Where exits are attached before the last one, and
        head: what they consist of, and
        head_width: how wide that is: as in `attach_exits`. Without `at` the
            model must have an output for each of several exits.
        custom_objects: Classes of yours in the file, such as
            "my_package.layers:Norm".

    Raises:
        ValueError: If an argument is not as said, or the file is not.
    """
    known = importing.classes("custom_objects", custom_objects)
    model = _of_size(trained_model("path", path, known), input_shape)
    if at is not None:
        model = attach_exits(
            model, at, classes=classes, head=head, head_width=head_width
        )
    elif len(model.outputs) == 1:
        raise ValueError(
            "`at` must say where exits are attached, or how many, for a model "
            f"with one output: {model.name!r}. `keras-dynamic exits {path}` "
            "lists places. Received: at=None"
        )
    return outside.with_exit_names(model, input_shape, classes)


def _of_size(model, input_shape):
    """Calls a model of any size on an input of this size."""
    free = [
        None in tensor.shape[1:] and len(tensor.shape) == 4
        for tensor in model.inputs
    ]
    if free != [True]:
        return model
    image = keras.Input(shape=tuple(input_shape), name="image")
    again = inlining.inlined(model, [image])
    return keras.Model(image, list(again.outputs), name=model.name)
