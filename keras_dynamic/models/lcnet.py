"""Builds LC-Net: gates choose, image by image, the layers and channels to run.

Xia et al., "Fully Dynamic Inference with Deep Neural Networks", IEEE TETC 2022,
arXiv 2007.15151. In each residual block two small networks look at the mean of
the block's input: L-Net gives the residual branch a score, C-Net its channels.
Scores scale what they belong to; what has the score 0 is skipped.

Only the abstract could be read. The form of the two networks, one dense layer
and a clamp to [0, 1], is that of a third party's sketch. The paper does not
say how gates start, nor how they come back once they are closed: see
`gate_bias` and `keras_dynamic.layers.Gate`.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_dynamic.layers import Gate, Score
from keras_dynamic.models.blocks import arguments, convolutions
from keras_dynamic.models.blocks.inverted_residual import inverted_branch
from keras_dynamic.models.mobilenet_v2 import mobilenet_v2_stages
from keras_dynamic.models.resnet import residual_branch, resnet_stages

_BACKBONES = {
    "mobilenet_v2": (mobilenet_v2_stages, inverted_branch),
    "resnet": (resnet_stages, residual_branch),
}
_BACKBONE = {"family": "resnet", "blocks": 3}
_CHANNELS = (None, "groups", "mask")


def lcnet(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    backbone: Mapping[str, Any] = _BACKBONE,
    layers: bool = True,
    channels: str | None = None,
    groups: int = 4,
    gate_bias: float = 0.9,
    gate_spread: float | None = None,
    inward_gradient: bool = True,
    noise: Sequence[float] | None = (0.5, 0.2),
    annealing_steps: int = 0,
    exits: Sequence[int] = (),
    head_width: int | None = 128,
    name: str = "lcnet",
) -> keras.Model:
    """Builds an LC-Net as a functional model with one output per exit.

    Layers are named as in the backbone. `stage1_block0_gate` gives the score
    of a branch, `stage1_block0_gated` its product; with groups of channels
    there are `stage1_block0_group2_gate` and so on.

    The default is ResNet-20 with a gate for each layer, and none for channels:
    the backbone of `lcnet_cifar10_20`. The paper's settings could not be read.

    All blocks of a ResNet are gated; where the shape changes the shortcut has
    a convolution, which always runs. Of a MobileNetV2 those blocks are gated
    that widen and have a shortcut.

    Args:
        input_shape: Height, width and channels of the input, float32 in [0, 1].
        classes: Number of classes; the exits give logits [batch, classes].
        backbone: Its "family", "resnet" or "mobilenet_v2", and the arguments
            of that family but `input_shape` and `classes`.
        layers: Whether the branch of each gated block has a gate (L-Net).
        channels: Gates (C-Net) for the channels inside of a branch, which are
            those between the convolutions of a ResNet's block, and those before
            a MobileNetV2's block narrows. None: no such gates. "groups": the
            channels are cut into `groups` contiguous parts, each a branch of
            its own from the block's input to its output, normalised there, with
            one gate; the branches are summed. So skipped channels take no time.
            "mask": as in the paper one score per channel, by which the map is
            multiplied. That saves nothing on a device: it is for training and
            comparison.
        groups: Gates per block, for "groups".
        gate_bias: Score of every gate at first, in the mean over images.
        gate_spread: None: scores come from a dense layer, as in the sketch, and
            are at first nearly equal for all images. Else they come from
            channels that are standardized over the images, by `Score`, with
            this deviation.
        inward_gradient: Whether a score outside of [0, 1] gets the gradients
            that move it back in; otherwise it gets the gradient of a clamp.
        noise: Standard deviation of the gates' noise in training, at first and
            at last; None for no noise.
        annealing_steps: Steps of training in which the deviation falls,
            linearly; with 0 it is the last one from the start.
        exits: Stages, from 0, at whose end is an early exit.
        head_width: Width of the convolutions of the early exits; None keeps
            that of their stage.
        name: Name of the model.

    Raises:
        ValueError: If an argument is not as said, or `groups` does not divide
            the channels of a block.
    """
    arguments.require_one_of(_CHANNELS, channels=channels)
    arguments.require_positive(
        gate_bias=gate_bias,
        gate_spread=1.0 if gate_spread is None else gate_spread,
    )
    arguments.require_positive_integers(
        head_width=1 if head_width is None else head_width
    )
    if not isinstance(groups, int) or groups < 2:
        raise ValueError(
            f"`groups` must be an integer above 1. Received: groups={groups!r}"
        )
    if not layers and channels is None:
        raise ValueError(
            "`layers` or `channels` must be set: without gates this is the "
            f"backbone. Received: layers={layers!r}, channels={channels!r}"
        )
    stages, branch = _backbone(backbone)
    gated = _gated(
        branch,
        layers=layers,
        channels=channels,
        groups=groups,
        gate=functools.partial(
            _gate,
            bias=gate_bias,
            spread=gate_spread,
            inward_gradient=inward_gradient,
            noise=noise,
            annealing_steps=annealing_steps,
        ),
    )
    inputs = keras.Input(shape=input_shape, name="image")
    *maps, last = stages(inputs, branch=gated)
    if list(exits) != sorted(set(exits) & set(range(len(maps)))):
        raise ValueError(
            "`exits` must be increasing numbers of stages before the last, "
            f"from 0 to {len(maps) - 1}. Received: exits={exits!r}"
        )
    outputs = [
        convolutions.classifier(maps[stage], classes, head_width, exit)
        for exit, stage in enumerate(exits)
    ]
    outputs.append(convolutions.linear_classifier(last, classes, len(outputs)))
    return keras.Model(inputs, outputs, name=name)


def _backbone(given):
    """Returns a backbone's function from images to maps, and its branch.

    The function takes a branch in place of the backbone's own.
    """
    (stages, branch), settings = arguments.backbone(
        "backbone", given, _BACKBONES
    )
    arguments.require_arguments_of(
        stages, "backbone", given, None, branch=branch
    )
    return functools.partial(stages, **settings), branch


def _gated(branch, *, layers, channels, groups, gate):
    """Returns a function like `branch` that puts gates into its result."""

    def gated(x, filters, *, inner, name, **others):
        pooled = keras.layers.GlobalAveragePooling2D(
            keepdims=True, name=f"{name}_pool"
        )(x)

        def scaled(y, name, units=1):
            return keras.layers.Multiply(name=f"{name}_gated")(
                [y, gate(pooled, units, name=name)]
            )

        make = functools.partial(branch, x, filters, **others)
        if channels == "groups":
            if inner % groups:
                raise ValueError(
                    "`groups` must divide the channels inside of each block. "
                    f"Received: groups={groups}, {inner} channels in {name}"
                )
            parts = [f"{name}_group{group}" for group in range(groups)]
            y, *rest = (
                scaled(make(inner=inner // groups, name=part), part)
                for part in parts
            )
            # Two at a time: each sum has an int8 scale of its own.
            for part, more in zip(parts[1:], rest, strict=True):
                y = keras.layers.Add(name=f"{part}_add")([y, more])
        elif channels == "mask":
            mask = functools.partial(
                scaled, name=f"{name}_channels", units=inner
            )
            y = make(inner=inner, name=name, scale=mask)
        else:
            y = make(inner=inner, name=name)
        return scaled(y, name) if layers else y

    return gated


def _gate(pooled, units, *, bias, spread, name, **settings):
    """Runs one dense layer on the mean of a map, and the clamp."""
    score = {
        "bias_initializer": keras.initializers.Constant(bias),
        "name": f"{name}_score",
    }
    if spread is None:
        small = keras.initializers.RandomNormal(stddev=0.01)
        dense = keras.layers.Conv2D(units, 1, kernel_initializer=small, **score)
    else:
        dense = Score(units, spread, **score)
    return Gate(name=f"{name}_gate", **settings)(dense(pooled))
