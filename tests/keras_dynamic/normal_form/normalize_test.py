"""Compares small networks of every kind with their normal forms."""

import keras
import numpy as np
import pytest

from keras_dynamic.normal_form.rewrites import elementwise
from tests.support import normal_forms

L = keras.layers
ops = keras.ops


def _network(function, shape=(8, 6, 4)):
    """A network with a layer before and behind what is tried."""
    keras.utils.set_random_seed(0)
    image = keras.Input(shape)
    x = L.Conv2D(4, 3, padding="same", name="before")(image)
    y = function(x)
    if len(y.shape) > 2:
        y = L.Flatten()(y)
    return normal_forms.randomized(
        keras.Model(image, [L.Dense(3, name="exit_0")(y)])
    )


LAYERS = {
    **{
        f"activation_{name}": lambda x, name=name: L.Activation(name)(x)
        for name in elementwise.NAMES
    },
    **{
        f"fused_{name}": lambda x, name=name: L.Conv2D(5, 3, activation=name)(x)
        for name in ("relu", "sigmoid", "softmax", "silu", "gelu", "tanh")
    },
    "ops_gelu_fused": lambda x: L.Conv2D(4, 1, activation=ops.gelu)(x),
    "dense_fused": lambda x: L.Dense(5, activation="silu")(L.Flatten()(x)),
    "relu_slope": lambda x: L.ReLU(negative_slope=0.1)(x),
    "relu_slope_max": lambda x: L.ReLU(negative_slope=0.1, max_value=0.5)(x),
    "relu_max": lambda x: L.ReLU(max_value=0.5)(x),
    "leaky": lambda x: L.LeakyReLU(negative_slope=0.3)(x),
    "elu": lambda x: L.ELU(alpha=0.5)(x),
    "prelu": lambda x: L.PReLU()(x),
    "prelu_shared": lambda x: L.PReLU(shared_axes=[1, 2])(x),
    "softmax": lambda x: L.Softmax()(x),
    "separable": lambda x: L.SeparableConv2D(
        6, 3, 2, "same", depth_multiplier=2, activation="silu"
    )(x),
    "depthwise": lambda x: L.DepthwiseConv2D(
        3, depth_multiplier=2, activation="tanh"
    )(x),
    "grouped": lambda x: L.Conv2D(6, 3, groups=2)(x),
    "dilated": lambda x: L.Conv2D(6, 3, dilation_rate=2)(x),
    "transpose": lambda x: L.Conv2DTranspose(
        5, 3, 2, "same", activation="silu"
    )(x),
    "transpose_normalized": lambda x: L.BatchNormalization()(
        L.Conv2DTranspose(5, 3, 2, use_bias=False)(x)
    ),
    "dense_maps": lambda x: L.Dense(5, activation="gelu")(x),
    "dense_rows": lambda x: L.Dense(5)(L.Reshape((48, 4))(x)),
    "normalized": lambda x: L.BatchNormalization()(x),
    "normalized_twice": lambda x: L.BatchNormalization()(
        L.BatchNormalization()(x)
    ),
    "normalized_later": lambda x: L.BatchNormalization()(L.ReLU()(x)),
    "normalized_vector": lambda x: L.BatchNormalization()(
        L.GlobalAveragePooling2D()(x)
    ),
    "normalized_dense": lambda x: L.BatchNormalization()(
        L.Dense(5, use_bias=False)(L.Flatten()(x))
    ),
    "normalized_branch": lambda x: L.Add()([x, L.BatchNormalization()(x)]),
    "layer_norm": lambda x: L.LayerNormalization()(x),
    "layer_norm_all": lambda x: L.LayerNormalization(axis=(1, 2, 3))(x),
    "global_max": lambda x: L.GlobalMaxPooling2D()(x),
    "global_max_map": lambda x: L.GlobalMaxPooling2D(keepdims=True)(x),
    "average": lambda x: L.AveragePooling2D(2, padding="same")(x),
    "average_all": lambda x: L.AveragePooling2D((8, 6))(x),
    "max": lambda x: L.MaxPooling2D(3, 2, padding="same")(x),
    "subtract": lambda x: L.Subtract()([x, L.ReLU()(x)]),
    "average_of": lambda x: L.Average()([x, L.ReLU()(x), x]),
    "maximum": lambda x: L.Maximum()([x, L.ReLU(0.1)(x), -x]),
    "minimum": lambda x: L.Minimum()([x, L.ReLU(0.1)(x)]),
    "add_three": lambda x: L.Add()([x, L.ReLU()(x), x]),
    "multiply_ranks": lambda x: L.Multiply()(
        [x, L.GlobalAveragePooling2D()(x)]
    ),
    "concatenate": lambda x: L.Concatenate(axis=1)([x, L.ReLU()(x)]),
    "crop": lambda x: L.Cropping2D(((1, 2), (0, 1)))(x),
    "pad": lambda x: L.ZeroPadding2D(1)(x),
    "permute": lambda x: L.Permute((3, 1, 2))(x),
    "reshape": lambda x: L.Reshape((-1, 2))(x),
    "up_nearest": lambda x: L.UpSampling2D((2, 3))(x),
    "up_bilinear": lambda x: L.UpSampling2D(2, interpolation="bilinear")(x),
    "resize": lambda x: L.Resizing(5, 9)(x),
    "resize_up": lambda x: L.Resizing(16, 12, interpolation="nearest")(x),
    "resize_down": lambda x: L.Resizing(4, 2, interpolation="nearest")(x),
    "center_crop": lambda x: L.CenterCrop(5, 4)(x),
    "rescale": lambda x: L.Rescaling(2.0, offset=-1.0)(L.ReLU()(x)),
    "dropout": lambda x: L.Dropout(0.5)(L.GaussianNoise(1.0)(x)),
}

OPS = {
    "plus": lambda x: ops.relu(x) + 1.5,
    "plus_left": lambda x: 1.5 + ops.relu(x),
    "minus": lambda x: ops.relu(x) - 1.5,
    "minus_left": lambda x: 1.5 - ops.relu(x),
    "times": lambda x: x * 3.0,
    "times_left": lambda x: 3.0 * ops.relu(x),
    "divided": lambda x: x / 3.0,
    "negative": lambda x: -x,
    "chain": lambda x: (ops.relu(x) / 127.5 - 1.0) * 2.0,
    "per_channel": lambda x: x * np.array([1.0, 2.0, -3.0, 0.5], np.float32),
    "per_place": lambda x: (
        ops.relu(x) + np.arange(8, dtype=np.float32)[None, :, None, None]
    ),
    "add": lambda x: x + ops.relu(x),
    "subtract": lambda x: ops.relu(x) - x,
    "multiply": lambda x: x * ops.sigmoid(x),
    "square": lambda x: ops.square(x) + x**2,
    "gelu": lambda x: ops.gelu(x),
    "gelu_exact": lambda x: ops.gelu(x, approximate=False),
    "relu6": lambda x: ops.relu6(x * 9.0),
    "silu": lambda x: ops.silu(x),
    "hard_silu": lambda x: ops.hard_silu(x * 3.0),
    "hard_swish_by_hand": lambda x: x * ops.relu6(x + 3.0) * (1.0 / 6.0),
    "leaky": lambda x: ops.leaky_relu(x, 0.4),
    "elu": lambda x: ops.elu(x, 0.4),
    "softmax": lambda x: ops.softmax(x),
    "activation_function": lambda x: keras.activations.relu(x, 0.0, 0.4),
    "mean": lambda x: ops.mean(x, axis=(1, 2)),
    "mean_kept": lambda x: ops.mean(x, axis=[-3, -2], keepdims=True),
    "mean_rows": lambda x: ops.mean(x, axis=1),
    "mean_channels": lambda x: ops.mean(x, axis=-1, keepdims=True),
    "mean_channels_dropped": lambda x: ops.mean(x, axis=-1),
    "sum": lambda x: ops.sum(x, axis=(1, 2)),
    "sum_columns": lambda x: ops.sum(x, axis=2),
    "max": lambda x: ops.max(x, axis=(1, 2)),
    "max_channels": lambda x: ops.max(x, axis=-1, keepdims=True),
    "maximum": lambda x: ops.maximum(x, 0.1),
    "maximum_of": lambda x: ops.maximum(x, -x),
    "minimum": lambda x: ops.minimum(0.1, x),
    "clip": lambda x: ops.clip(x, -0.2, 0.3),
    "reshape": lambda x: ops.reshape(x, (-1, 12, 16)),
    "squeeze": lambda x: ops.squeeze(ops.expand_dims(x, 1), 1),
    "transpose": lambda x: ops.transpose(x, (0, 2, 3, 1)),
    "concatenate": lambda x: ops.concatenate([x, ops.relu(x)], axis=-1),
    "stack": lambda x: ops.stack([x, ops.relu(x)], axis=2),
    "slice": lambda x: x[:, 1:-1, 2:],
    "slice_strided": lambda x: x[:, ::2, 1::3],
    "slice_channels": lambda x: x[..., 1:3],
    "slice_number": lambda x: x[:, 2, :, -1],
    "split": lambda x: ops.multiply(*ops.split(x, 2, axis=-1)),
    "pad": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0))),
    "average_pool": lambda x: ops.average_pool(x, 2),
    "max_pool": lambda x: ops.max_pool(x, 3, 2, "same"),
    "resize": lambda x: ops.image.resize(x, (4, 9)),
    "cast": lambda x: ops.cast(x, "float32"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer(name):
    _check(_network(LAYERS[name]))


@pytest.mark.parametrize("name", OPS)
def test_an_operation(name):
    _check(_network(OPS[name]))


def _check(model):
    normal = normal_forms.same(model, scale=4.0)
    assert model.output_names == normal.output_names
    unreached = [
        weight.path
        for weight, gradient in normal_forms.gradients(normal)
        if gradient is None
    ]
    assert unreached == []
