"""Makes layers of several operators into layers of one operator each.

Behind each operator TFLite has an int8 tensor, which needs a range.
"""

from collections.abc import Callable
from typing import Any

import keras

from keras_dynamic import layers
from keras_dynamic.graph import functional
from tflite.quantization.native import simple_layers
from tflite.quantization.unsupported_layer import UnsupportedLayerError

# What only the method "tfmot" quantizes.
REFUSED = (layers.BasisCoefficients, layers.BasisConv2D)


def lowered(model: keras.Model) -> keras.Model:
    """Returns a model of equal outputs in which a layer is one operator.

    Args:
        model: Functional model in normal form. Its layers are used, not
            copied, except for those that become several.
    """
    return keras.Model(
        model.inputs,
        functional.follow(model, model.inputs, _call),
        name=model.name,
    )


def _call(layer, given):
    for kind, form in _FORMS.items():
        if type(layer) is kind:
            return form(layer, given)
    return layer(given)


def _made(
    source: keras.layers.Layer,
    part: keras.layers.Layer,
    given: Any,
    weights: Any = (),
) -> Any:
    """Calls a new layer that does a part of what another one does."""
    result = part(given)
    if weights:
        part.set_weights([keras.ops.convert_to_numpy(each) for each in weights])
    part.trainable = source.trainable
    return result


def _activation(layer, x):
    kind = layer.get_config()["activation"]
    if kind == "relu":
        return _clip(layer, x)
    if kind != "hard_sigmoid":
        return layer(x)
    # Not the operator for x times the hard sigmoid, which stays outside of
    # XNNPACK; and there is none for it alone.
    name = layer.name
    x = simple_layers.Shift(3.0, name=f"{name}_shift")(x)
    x = keras.layers.ReLU(6.0, name=f"{name}_clip")(x)
    return layers.Multiple(1 / 6, name=name)(x)


def _clip(layer, x):
    before = functional.producer(x).operation
    if isinstance(before, keras.layers.AveragePooling2D):
        # The converter would take the ReLU into it, with the ReLU's scale, and
        # clip what is averaged. It takes this convolution for one.
        ones = keras.ops.ones((1, 1, x.shape[-1], 1))
        apart = keras.layers.DepthwiseConv2D(
            1, use_bias=False, name=f"{layer.name}_apart"
        )
        x = _made(layer, apart, x, [ones])
        apart.trainable = False
    return layer(x)


def _layer_normalization(layer, x):
    name = layer.name
    mean = simple_layers.ChannelMean(name=f"{name}_mean")(x)
    x = keras.layers.Subtract(name=f"{name}_centred")([x, mean])
    square = keras.layers.Multiply(name=f"{name}_square")([x, x])
    variance = simple_layers.ChannelMean(name=f"{name}_variance")(square)
    variance = simple_layers.Shift(layer.epsilon, name=f"{name}_shift")(
        variance
    )
    root = simple_layers.InverseRoot(name=f"{name}_root")(variance)
    x = keras.layers.Multiply(name=f"{name}_normal")([x, root])
    if layer.gamma is not None:
        factor = simple_layers.ChannelFactor(name=f"{name}_gamma")
        x = _made(layer, factor, x, [layer.gamma])
    if layer.beta is not None:
        x = _made(layer, layers.Bias(name=f"{name}_beta"), x, [layer.beta])
    return x


def _score(layer, x):
    config = {
        key: layer.get_config()[key] for key in ("filters", "kernel_size")
    }
    plain = keras.layers.Conv2D(**config, name=layer.name)
    return _made(layer, plain, x, layer.plain())


def _preference(layer, x):
    plain = keras.layers.Dense(1, name=layer.name)
    result = _made(layer, plain, x, layer.plain(x.shape[-1]))
    plain.trainable = False
    return result


def _refused(layer, given):
    del given
    raise UnsupportedLayerError(
        "`model` must have no convolutions whose kernels are combined of bases "
        "where the method is 'keras'; 'tfmot' quantizes them. "
        f"Received: layer {layer.name!r} of class {type(layer).__name__}"
    )


def _up_sampling(layer, x):
    return simple_layers.NearestResize(layer.size, name=layer.name)(x)


_FORMS: dict[type, Callable] = {
    keras.layers.Activation: _activation,
    keras.layers.LayerNormalization: _layer_normalization,
    keras.layers.ReLU: _clip,
    keras.layers.UpSampling2D: _up_sampling,
    layers.Preference: _preference,
    layers.Score: _score,
    **dict.fromkeys(REFUSED, _refused),
}
