"""Builds RANet, the Resolution Adaptive Network.

Yang et al., "Resolution Adaptive Networks for Efficient Inference", CVPR 2020,
arXiv 2003.07326. It is a chain of sub-networks, from the lowest resolution to
the highest; each fuses the features of the one before it and carries its own
exits, so an easy image never reaches the high resolutions.

Two details differ from the authors' code, which pads stride-2 convolutions
symmetrically and resizes with aligned corners: here padding is Keras "same"
and resizing has half-pixel centres, because both run in int8 on phones.
"""

import itertools
import math
from collections.abc import Sequence

import keras

from keras_dynamic.layers import BilinearResize
from keras_dynamic.models.blocks import arguments, convolutions

_STEP_MODES = ("even", "lg")
_STEMS = ("conv", "imagenet")


def ranet(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    channels: int = 16,
    growth_rate: int = 6,
    scales: Sequence[int] = (1, 2, 3, 3),
    growth_factors: Sequence[int] = (4, 2, 1, 1),
    bottleneck_factors: Sequence[int] = (4, 2, 1, 1),
    step: int = 4,
    step_mode: str = "even",
    blocks: int = 2,
    block_step: int = 2,
    compression: float = 0.25,
    reduction: float = 0.5,
    stem: str = "conv",
    head_width: int | None = 128,
    name: str = "ranet",
) -> keras.Model:
    """Builds a RANet as a functional model with one output per exit.

    Layer names carry sub-network, block and layer (`sub1_block2_layer0_...`);
    the layers of a classifier start with `exit_k`, and its logits are the
    output of the layer `exit_k` itself. All indices start at 0.

    The defaults are the published CIFAR model for anytime prediction, with
    eight exits (`ranet_cifar10_anytime`).

    Args:
        input_shape: Height, width and channels of the input, float32 in [0, 1].
        classes: Number of classes; every exit gives logits [batch, classes].
        channels: Base width (`nChannels`), multiplied by a growth factor.
        growth_rate: Channels that a dense layer adds, multiplied by a growth
            factor.
        scales: The scale number of each sub-network, lowest resolution first;
            1 is the lowest. Sub-networks of equal number share a resolution.
        growth_factors: Width factor of each sub-network, lowest resolution
            first.
        bottleneck_factors: Bottleneck factor of each sub-network, lowest
            resolution first.
        step: Layers in the first block.
        step_mode: "even": every block has `step` layers. "lg" (linear growth):
            block b, counted from 1, has `b * step`.
        blocks: Blocks in the first sub-network.
        block_step: Blocks that each further sub-network has more; the last
            `block_step` blocks of a sub-network carry the exits (in the first
            one, all of its blocks do).
        compression: Share of a fusion layer's new channels that comes from
            the sub-network before.
        reduction: Share of channels that a transition keeps.
        stem: "conv" (3x3, as for CIFAR) or "imagenet" (7x7 stride 2, pool).
        head_width: Width of the classifiers' convolutions; None keeps the
            width of the feature (as for ImageNet).
        name: Name of the model.

    Returns:
        A `keras.Model` with `len(model.outputs)` exits, shallow to deep.

    Raises:
        ValueError: If the lists differ in length, a choice is unknown, or a
            number is not positive.
    """
    arguments.require_positive_integers(
        channels=channels,
        growth_rate=growth_rate,
        step=step,
        blocks=blocks,
        block_step=block_step,
        head_width=1 if head_width is None else head_width,
    )
    arguments.require_positive_integers_per(
        "sub-network",
        scales=scales,
        growth_factors=growth_factors,
        bottleneck_factors=bottleneck_factors,
    )
    arguments.require_one_of(_STEP_MODES, step_mode=step_mode)
    arguments.require_one_of(_STEMS, stem=stem)
    if any(low > high for low, high in itertools.pairwise(scales)):
        raise ValueError(
            "`scales` must not decrease: sub-networks go from the lowest "
            f"resolution to the highest. Received: scales={scales}"
        )

    inputs = keras.Input(shape=input_shape, name="image")
    bases = _base_features(inputs, channels, scales, growth_factors, stem)
    block_counts = [blocks + block_step * s for s in range(len(scales))]
    logits = []
    below = []  # per block of the sub-network before: the feature lists
    for sub, x in enumerate(bases):
        growth = growth_rate * growth_factors[sub]
        fused = block_counts[sub - 1] if sub else 0
        downs = _down_blocks(block_counts, sub, scales[sub])
        transitions = _transition_blocks(block_counts[sub], scales[sub])
        features = []
        for block in range(block_counts[sub]):
            prefix = f"sub{sub}_block{block}"
            layers = step * (block + 1) if step_mode == "lg" else step
            if block < fused:
                x, block_features = _fusion_block(
                    x,
                    below[block],
                    layers=layers,
                    growth=growth,
                    bottleneck=bottleneck_factors[sub],
                    bottleneck_below=bottleneck_factors[sub - 1],
                    compression=compression,
                    down=block in downs,
                    prefix=prefix,
                )
            else:
                x, block_features = _dense_block(
                    x, layers, growth, bottleneck_factors[sub], prefix
                )
            features.append(block_features)
            if block in transitions:
                width = math.floor(reduction * x.shape[-1])
                x = convolutions.conv_bn_relu(
                    x, width, 1, name=f"{prefix}_transition"
                )
            if block >= fused:
                logits.append(
                    convolutions.classifier(x, classes, head_width, len(logits))
                )
        below = features
    return keras.Model(inputs, logits, name=name)


def _down_blocks(block_counts, sub, scale):
    """Returns the indices of the fusion blocks that halve the resolution."""
    # Counting from 1 as the authors do, they are the last (scale - 1) of
    # [0, blocks of sub-network 0, ..., blocks of sub-network sub-1].
    candidates = [0, *block_counts[:sub]]
    return {b - 1 for b in candidates[len(candidates) - (scale - 1) :]}


def _transition_blocks(count, scale):
    """Returns the indices of the blocks that a transition follows."""
    return {math.floor(i * count / scale) - 1 for i in range(1, scale)}


def _base_features(inputs, channels, scales, growth_factors, stem):
    """Returns one feature per sub-network, lowest resolution first.

    They are computed from the highest resolution down.
    """
    top = len(scales) - 1
    width = channels * growth_factors[top]
    if stem == "conv":
        x = convolutions.conv_bn_relu(inputs, width, 3, name=f"base{top}")
    else:
        x = keras.layers.Conv2D(
            width, 7, strides=2, padding="same", name=f"base{top}_conv"
        )(inputs)
        x = keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, name=f"base{top}_bn"
        )(x)
        x = keras.layers.ReLU(name=f"base{top}_relu")(x)
        x = keras.layers.MaxPooling2D(
            3, strides=2, padding="same", name=f"base{top}_pool"
        )(x)
    bases = [x]
    for sub in range(top - 1, -1, -1):
        x = convolutions.conv_bn_relu(
            x,
            channels * growth_factors[sub],
            3,
            strides=1 if scales[sub] == scales[sub + 1] else 2,
            name=f"base{sub}",
        )
        bases.append(x)
    return bases[::-1]


def _resize_like(x, reference, name):
    """Resizes x bilinearly to the height and width of reference."""
    height, width = reference.shape[1:3]
    if x.shape[1:3] == (height, width):
        return x
    return BilinearResize(height, width, name=name)(x)


def _dense_block(x, layers, growth, bottleneck, prefix):
    """Runs dense layers at one resolution; returns output and all features."""
    features = [x]
    for layer in range(layers):
        name = f"{prefix}_layer{layer}"
        new = convolutions.bottleneck_conv(x, growth, bottleneck, name=name)
        x = keras.layers.Concatenate(name=f"{name}_concat")([x, new])
        features.append(x)
    return x, features


def _fusion_block(
    x,
    below,
    *,
    layers,
    growth,
    bottleneck,
    bottleneck_below,
    compression,
    down,
    prefix,
):
    """Runs dense layers that fuse in the sub-network before, layer by layer.

    Returns the output and the features before the final fusion, which the next
    sub-network fuses.
    """
    from_below = math.floor(growth * compression)
    if not 0 < from_below < growth:
        raise ValueError(
            "`compression` must take some, not all, of the channels that a "
            f"fusion layer adds. Received: compression={compression} of "
            f"{growth} channels"
        )
    features = [x]
    for layer in range(layers):
        name = f"{prefix}_layer{layer}"
        halve = down and layer == layers - 1
        new = convolutions.bottleneck_conv(
            x,
            growth - from_below,
            bottleneck,
            strides=2 if halve else 1,
            name=name,
        )
        up = convolutions.bottleneck_conv(
            below[layer], from_below, bottleneck_below, name=f"{name}_fuse"
        )
        x = keras.layers.Concatenate(name=f"{name}_concat")(
            [
                _resize_like(x, new, f"{name}_resize"),
                _resize_like(up, new, f"{name}_fuse_resize"),
                new,
            ]
        )
        features.append(x)
    fused = convolutions.conv_bn_relu(
        below[layers],
        math.floor(x.shape[-1] * compression),
        1,
        name=f"{prefix}_fuse",
    )
    fused = _resize_like(fused, x, f"{prefix}_fuse_resize")
    x = keras.layers.Concatenate(name=f"{prefix}_concat")([x, fused])
    return x, features
