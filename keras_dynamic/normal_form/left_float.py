"""Leaves a layer as it is, where its user says so by name."""

from typing import Any

import keras

from keras_dynamic.normal_form.rewrite import refuse
from keras_dynamic.normal_form.site import Site


def left(site: Site) -> Any:
    """Calls a copy of a layer of any class, or an operation again.

    Raises:
        NoNormalFormError: If the layer cannot be made again of its config.
    """
    operation = site.operation
    args, kwargs = site.tensors((site.args, site.kwargs))
    if not isinstance(operation, keras.layers.Layer):
        return operation(*args, **kwargs)
    layer = _copy(operation, site.names.of(site.call))
    result = layer(*args, **kwargs)
    layer.set_weights(operation.get_weights())
    layer.trainable = operation.trainable
    return result


def _copy(layer: keras.layers.Layer, name: str) -> keras.layers.Layer:
    if isinstance(layer, keras.layers.Lambda):
        # Its own way from a config asks whether the function is trusted.
        return keras.layers.Lambda(
            layer.function,
            output_shape=layer._output_shape,
            mask=layer.mask,
            arguments=layer.arguments,
            name=name,
        )
    try:
        return type(layer).from_config({**layer.get_config(), "name": name})
    except (NotImplementedError, TypeError) as error:
        raise refuse(
            f"it cannot be made again of its config: {error}",
            "give its class `get_config` and `from_config`",
        ) from error
