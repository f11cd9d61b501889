"""Describes a layer of Keras 3 that can be quantized."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras


@dataclasses.dataclass(frozen=True)
class Part:
    """Holds a legacy Keras layer, and the weights to set once it is built.

    Attributes:
        layer: Its name is that of the layer of Keras 3, with the name of the
            part behind a dot where it is one of several.
        weights: Its weights, float32.
        trainable: Whether fine-tuning changes them.
    """

    layer: tf_keras.layers.Layer
    weights: Sequence[np.ndarray] = ()
    trainable: bool = True


Find = Callable[[Part], Callable]
"""Gives the layer to call for a part: its own, or one that stands for it."""

Config = Callable[
    [tf_keras.layers.Layer], tfmot.quantization.keras.QuantizeConfig | None
]
"""Gives tfmot's configuration of a legacy layer; None leaves it to tfmot."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantizable:
    """Describes how a layer of Keras 3 is quantized.

    Attributes:
        keras: Its class; a subclass is another layer.
        arguments: Names of its arguments that mean the same in the legacy
            Keras. Those left out (initialisers, regularisers, dtype policies,
            arguments that only Keras 3 has) play no part once the weights are
            there.
        legacy: The class of its counterpart, made of these arguments.
        parts: Calls the legacy layers that stand for the layer, if that is not
            one of the same arguments and weights: takes the layer of Keras 3,
            its inputs and a `Find`, and returns its outputs.
        configs: How tfmot quantizes the legacy classes that it cannot quantize
            by itself.
        quantized: Makes the legacy layer to quantize, for the classes of which
            it is not the float one.
        note: Says what a user should know, for docs/quantization.md.
    """

    keras: type[keras.layers.Layer]
    arguments: tuple[str, ...] = ()
    legacy: type[tf_keras.layers.Layer] | None = None
    parts: Callable[[keras.layers.Layer, Any, Find], Any] | None = None
    configs: Mapping[type, Config] = dataclasses.field(default_factory=dict)
    quantized: Mapping[
        type, Callable[[tf_keras.layers.Layer], tf_keras.layers.Layer]
    ] = dataclasses.field(default_factory=dict)
    note: str = ""

    def call(self, layer: keras.layers.Layer, inputs: Any, find: Find) -> Any:
        """Calls the legacy layers that stand for a layer of Keras 3.

        Args:
            layer: The layer, of the class `keras`.
            inputs: Legacy tensors that stand for its inputs.
            find: Gives the layer to call for a part.

        Returns:
            Legacy tensors that stand for its outputs.
        """
        if self.parts:
            return self.parts(layer, inputs, find)
        config = layer.get_config()
        arguments = {name: config[name] for name in self.arguments}
        made = self.legacy(name=layer.name, **arguments)
        return find(Part(made, weights_of(layer), layer.trainable))(inputs)


def weights_of(layer: keras.layers.Layer) -> list[np.ndarray]:
    """Returns the weights of a layer of Keras 3, float32."""
    return [np.asarray(each, np.float32) for each in layer.weights]
