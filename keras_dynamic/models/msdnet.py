"""Builds MSDNet, the Multi-Scale Dense Network.

Huang et al., "Multi-Scale Dense Networks for Resource Efficient Image
Classification", ICLR 2018, arXiv 1703.09844. Features of several scales run
side by side, densely connected, so that the coarsest one, which carries the
exits, is fit for classification from the first layers on.

It is built as by the authors' code with `prune=max`: the layers fall into spans
of ceil(layers / scales), and each span but the first begins by dropping the
finest scale left. Padding differs from that code, which pads stride-2
convolutions symmetrically: here it is Keras "same", for int8 on phones.

An exit costs what it depends on, which leaves out the finer scales of the
layers just before it: the paper's lazy evaluation (section 4). The authors'
code evaluates every scale of a block, so its counts are higher at early exits.
"""

import math
from collections.abc import Sequence

import keras

from keras_dynamic.models.blocks import arguments, convolutions

_STEP_MODES = ("even", "lin_grow")
_STEMS = ("conv", "imagenet")


def msdnet(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    channels: int = 16,
    growth_rate: int = 6,
    growth_factors: Sequence[int] = (1, 2, 4),
    bottleneck_factors: Sequence[int] = (1, 2, 4),
    blocks: int = 10,
    base: int = 4,
    step: int = 2,
    step_mode: str = "even",
    reduction: float = 0.5,
    stem: str = "conv",
    head_width: int | None = 128,
    name: str = "msdnet",
) -> keras.Model:
    """Builds an MSDNet as a functional model with one output per exit.

    Layer names carry block, layer in the block and scale
    (`block1_layer0_scale2_...`), scale 0 being the finest; the layers of a
    classifier start with `exit_k`, and its logits are the output of the layer
    `exit_k` itself. All indices start at 0.

    The defaults are the published CIFAR model for anytime prediction, with ten
    exits (`msdnet_cifar10_anytime`).

    Args:
        input_shape: Height, width and channels of the input, float32 in [0, 1].
        classes: Number of classes; every exit gives logits [batch, classes].
        channels: Base width (`nChannels`), multiplied by a growth factor.
        growth_rate: Channels that a layer adds, multiplied by a growth factor.
        growth_factors: Width factor of each scale, finest first; each scale
            has half the resolution of the one before.
        bottleneck_factors: Bottleneck factor of each scale, finest first.
        blocks: Number of blocks; each ends in an exit.
        base: Layers in the first block.
        step: Sets the layers of the other blocks.
        step_mode: "even": each block but the first has `step` layers.
            "lin_grow": block b, counted from 0, has `b * step + 1`.
        reduction: Share of channels that stays when a scale is dropped.
        stem: "conv" (3x3, as for CIFAR) or "imagenet" (7x7 stride 2, pool).
        head_width: Width of the classifiers' convolutions; None keeps the
            width of the feature (as for ImageNet).
        name: Name of the model.

    Returns:
        A `keras.Model` with `blocks` outputs, shallow to deep.

    Raises:
        ValueError: If the lists differ in length, a choice is unknown, or a
            number is not positive or cannot be shared out.
    """
    arguments.require_positive_integers(
        channels=channels,
        growth_rate=growth_rate,
        blocks=blocks,
        base=base,
        step=step,
        head_width=1 if head_width is None else head_width,
    )
    arguments.require_positive_integers_per(
        "scale",
        growth_factors=growth_factors,
        bottleneck_factors=bottleneck_factors,
    )
    arguments.require_one_of(_STEP_MODES, step_mode=step_mode)
    arguments.require_one_of(_STEMS, stem=stem)
    if any(growth_rate * factor % 2 for factor in growth_factors[1:]):
        raise ValueError(
            "`growth_rate` times the factor of a scale must be even, but for "
            "the finest: two convolutions share it. "
            f"Received: growth_rate={growth_rate}, "
            f"growth_factors={growth_factors}"
        )
    if not isinstance(reduction, int | float) or not 0 < reduction <= 1:
        raise ValueError(
            "`reduction` must be a share, above 0 and at most 1. "
            f"Received: reduction={reduction!r}"
        )

    inputs = keras.Input(shape=input_shape, name="image")
    widths = [channels * factor for factor in growth_factors]
    features = dict(enumerate(_base_features(inputs, widths, stem)))
    counts = _layer_counts(blocks, base, step, step_mode)
    drops = _drop_layers(sum(counts), len(growth_factors))
    logits = []
    depth = 0
    for block, count in enumerate(counts):
        for layer in range(count):
            prefix = f"block{block}_layer{layer}"
            drop = depth in drops
            features = _layer(
                features,
                growth_rate,
                growth_factors,
                bottleneck_factors,
                drop=drop,
                prefix=prefix,
            )
            if drop:
                features = _transition(
                    features, reduction, growth_factors, prefix
                )
            depth += 1
        coarsest = features[max(features)]
        logits.append(
            convolutions.classifier(coarsest, classes, head_width, block)
        )
    # Finer features that no exit needs are left out of the model.
    return keras.Model(inputs, logits, name=name)


def _layer_counts(blocks, base, step, step_mode):
    """Returns the number of layers of each block."""
    if step_mode == "even":
        return [base] + [step] * (blocks - 1)
    return [base] + [step * block + 1 for block in range(1, blocks)]


def _drop_layers(count, scales):
    """Returns the indices of the layers that drop the finest scale left."""
    span = math.ceil(count / scales)
    return set(range(span, count, span))


def _base_features(inputs, widths, stem):
    """Returns a feature per scale, each computed from the finer one before."""
    if stem == "conv":
        x = convolutions.conv_bn_relu(inputs, widths[0], 3, name="base0")
    else:
        x = keras.layers.Conv2D(
            widths[0],
            7,
            strides=2,
            padding="same",
            kernel_initializer=convolutions.conv_initializer(widths[0], 7),
            name="base0_conv",
        )(inputs)
        x = keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, name="base0_bn"
        )(x)
        x = keras.layers.ReLU(name="base0_relu")(x)
        x = keras.layers.MaxPooling2D(
            3, strides=2, padding="same", name="base0_pool"
        )(x)
    features = [x]
    for scale, width in enumerate(widths[1:], start=1):
        x = convolutions.conv_bn_relu(
            x, width, 3, strides=2, name=f"base{scale}"
        )
        features.append(x)
    return features


def _layer(features, growth_rate, factors, bottlenecks, *, drop, prefix):
    """Runs one layer at every scale; takes and returns features by scale.

    A scale adds half of its growth from the scale above, by a strided
    convolution, and half from itself; the finest one all from itself. A scale
    that is dropped still feeds the next.
    """
    grown = {}
    for scale in sorted(features)[1 if drop else 0 :]:
        name = f"{prefix}_scale{scale}"
        x = features[scale]
        growth = growth_rate * factors[scale]
        parts = [x]
        if scale - 1 in features:
            growth //= 2
            parts.append(
                convolutions.bottleneck_conv(
                    features[scale - 1],
                    growth,
                    bottlenecks[scale - 1],
                    strides=2,
                    name=f"{name}_down",
                )
            )
        parts.append(
            convolutions.bottleneck_conv(
                x, growth, bottlenecks[scale], name=name
            )
        )
        grown[scale] = keras.layers.Concatenate(name=f"{name}_concat")(parts)
    return grown


def _transition(features, reduction, factors, prefix):
    """Narrows every scale left by a 1x1 convolution."""
    narrowed = {}
    for scale, x in features.items():
        # Rounded at factor 1, as the authors do, so that scales stay in step.
        units = x.shape[-1] // factors[scale]
        width = math.floor(reduction * units)
        if not width:
            raise ValueError(
                "`reduction` must leave some of the channels. "
                f"Received: reduction={reduction} of {units} channels"
            )
        narrowed[scale] = convolutions.conv_bn_relu(
            x,
            width * factors[scale],
            1,
            name=f"{prefix}_scale{scale}_transition",
        )
    return narrowed
