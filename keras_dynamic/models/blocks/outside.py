"""Checks models that a user brings, and gives their outputs our names."""

from collections.abc import Sequence

import keras

from keras_dynamic.graph import functional, inlining
from keras_dynamic.models.blocks import endings


def require_one_image(model: object) -> None:
    """Raises ValueError unless a functional model takes one image.

    It has one input [batch, height, width, channels] of fixed size, in the
    data format "channels_last".
    """
    if functional.graph_of(model) is None:
        raise ValueError(
            "`model` must be a functional or built Sequential keras.Model: one "
            "whose layers are called on keras.Input. "
            f"Received: model={model!r}"
        )
    if len(model.inputs) != 1:
        raise ValueError(
            "`model` must have one input, an image. Received: "
            f"{[tensor.name for tensor in model.inputs]}"
        )
    shape = tuple(model.inputs[0].shape)
    if len(shape) != 4 or None in shape[1:]:
        raise ValueError(
            "`model` must have an input of fixed size, such as "
            f"keras.Input((160, 160, 3)). Received: shape {shape}"
        )
    for path, layer in inlining.layers_by_path(model).items():
        form = getattr(layer, "data_format", None)
        if form == "channels_first":
            raise ValueError(
                "`model` must have layers of the data format 'channels_last'. "
                f"Received: layer {path!r} with {form!r}"
            )


def with_exit_names(
    model: keras.Model, input_shape: Sequence[int], classes: int
) -> keras.Model:
    """Returns a model whose outputs are those of the layers `exit_0`, ...

    A softmax at an output is left out, nested models are laid open. A model
    that obeys already is returned as it is, others share its layers.

    Args:
        model: Functional or Sequential, an output per exit, shallow to deep.
        input_shape: Height, width and channels that it must have.
        classes: Number of classes that each output must have.

    Raises:
        ValueError: If it is no such model.
    """
    require_one_image(model)
    shape = tuple(model.inputs[0].shape[1:])
    if shape != tuple(input_shape):
        raise ValueError(
            f"`model` must have an input of {tuple(input_shape)}: `model.size` "
            "(twice) and `data.channels` of the configuration. "
            f"Received: {shape}"
        )
    ends = [endings.ending(model, index) for index in range(len(model.outputs))]
    for exit, end in enumerate(ends):
        if end.shape != (classes,):
            raise ValueError(
                f"`model` must give logits of {classes} classes at every "
                f"output. Received: output {exit} of layer {end.path!r} with "
                f"shape {end.shape}"
            )
    if len({end.path for end in ends}) < len(ends):
        raise ValueError(
            "`model` must have outputs of different layers. "
            f"Received: {[end.path for end in ends]}"
        )
    wanted = [f"exit_{exit}" for exit in range(len(ends))]
    if [end.path for end in ends] == wanted and not (
        inlining.has_nested(model) or any(end.softmax for end in ends)
    ):
        return model
    instead = {
        end.path: endings.logits_layer(end, name)
        for end, name in zip(ends, wanted, strict=True)
    }
    image = keras.Input(shape=shape, name="image")
    again = inlining.inlined(model, [image], instead)
    outputs = [again.tensors[end.path][-1] for end in ends]
    return keras.Model(image, outputs, name=model.name)
