"""Keeps the inputs of a layer in their order in tfmot's 8-bit scheme.

When tfmot 0.8.1 rewrites a `Concatenate`, it lists the layer's inputs in the
order of the model's configuration, not in that of the connections, so some
concatenations come out with their channels permuted.
"""

from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (  # noqa: E501
    default_8bit_quantize_layout_transform as layout_transform,
)
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (  # noqa: E501
    default_8bit_quantize_scheme as quantize_scheme,
)
from tensorflow_model_optimization.python.core.quantization.keras.graph_transformations import (  # noqa: E501
    model_transformer,
)


class OrderedTransformer(model_transformer.ModelTransformer):
    """Transforms a model and keeps the order of each layer's inputs."""

    def _get_layers(self, layer_names):
        by_name = {
            layer["config"]["name"]: layer for layer in self._config["layers"]
        }
        return [by_name[name] for name in dict.fromkeys(layer_names)]


class _Transform(layout_transform.Default8BitQuantizeLayoutTransform):
    def apply(self, model, layer_quantize_map):
        # The list of transforms is made inside tfmot's `apply`, which finds
        # its transformer by the module's name.
        original = model_transformer.ModelTransformer
        model_transformer.ModelTransformer = OrderedTransformer
        try:
            return super().apply(model, layer_quantize_map)
        finally:
            model_transformer.ModelTransformer = original


class OrderedScheme(quantize_scheme.Default8BitQuantizeScheme):
    """Extends `Default8BitQuantizeScheme` with an `OrderedTransformer`."""

    def get_layout_transformer(self):
        """Returns the transform that keeps the order."""
        return _Transform()
