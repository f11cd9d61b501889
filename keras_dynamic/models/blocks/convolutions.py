"""Adds the convolutions and classifiers that model families are built from.

Convolutions are as in the code of RANet's and MSDNet's authors; the other
families share their normalization and initial values.
"""

import math

import keras


def conv_bn_relu(
    x: keras.KerasTensor,
    filters: int,
    kernel_size: int,
    *,
    name: str,
    strides: int = 1,
) -> keras.KerasTensor:
    """Applies a convolution without bias, batch norm, ReLU; "same" padding."""
    x = conv_bn(x, filters, kernel_size, name=name, strides=strides)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def conv_bn(
    x: keras.KerasTensor,
    filters: int,
    kernel_size: int,
    *,
    name: str,
    strides: int = 1,
    scale: str = "ones",
) -> keras.KerasTensor:
    """Applies a convolution without bias and batch norm; "same" padding.

    `scale` is the initializer of the normalization's factor.
    """
    x = keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=conv_initializer(filters, kernel_size),
        name=f"{name}_conv",
    )(x)
    return batch_norm(x, name=name, scale=scale)


def batch_norm(
    x: keras.KerasTensor, *, name: str, scale: str = "ones"
) -> keras.KerasTensor:
    """Applies batch norm with the momentum 0.9 and epsilon of the authors."""
    return keras.layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, gamma_initializer=scale, name=f"{name}_bn"
    )(x)


def conv_initializer(
    filters: int, kernel_size: int
) -> keras.initializers.Initializer:
    """Returns a normal initializer of deviation sqrt(2 / (k * k * filters))."""
    return keras.initializers.RandomNormal(
        stddev=math.sqrt(2.0 / (kernel_size * kernel_size * filters))
    )


def bottleneck_conv(
    x: keras.KerasTensor,
    filters: int,
    bottleneck: int,
    *,
    name: str,
    strides: int = 1,
) -> keras.KerasTensor:
    """Convolves 1x1 to a bottleneck, then 3x3: the authors' ConvBN.

    Normalisation follows each of the two convolutions.
    """
    inner = min(x.shape[-1], bottleneck * filters)
    x = conv_bn_relu(x, inner, 1, name=f"{name}_reduce")
    return conv_bn_relu(x, filters, 3, strides=strides, name=name)


def classifier(
    x: keras.KerasTensor, classes: int, width: int, index: int
) -> keras.KerasTensor:
    """Turns a map into logits: two 3x3 stride-2 convolutions, mean, dense.

    The authors pool 2x2, and their maps are 2x2 there: that is the mean, which
    phones run in int8 (an average pool they do not).
    """
    name = f"exit_{index}"
    width = width or x.shape[-1]
    x = conv_bn_relu(x, width, 3, strides=2, name=f"{name}_0")
    x = conv_bn_relu(x, width, 3, strides=2, name=f"{name}_1")
    return linear_classifier(x, classes, index)


def linear_classifier(
    x: keras.KerasTensor, classes: int, index: int
) -> keras.KerasTensor:
    """Turns the mean over a map into logits."""
    name = f"exit_{index}"
    x = keras.layers.GlobalAveragePooling2D(name=f"{name}_pool")(x)
    # Logits stay float32 under mixed precision, so that the loss does too.
    return keras.layers.Dense(classes, dtype="float32", name=name)(x)
