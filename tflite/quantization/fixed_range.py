"""Fake-quantizes values in a range that is known beforehand."""

import tensorflow as tf
import tensorflow_model_optimization as tfmot


class FixedRange(tfmot.quantization.keras.quantizers.Quantizer):
    """Fake-quantizes values in [0, limit], with nothing to learn."""

    def __init__(self, limit: float):
        self.limit = limit

    def build(self, tensor_shape, name, layer) -> dict:
        """Returns no variables."""
        return {}

    def __call__(self, inputs, training, weights, **kwargs) -> tf.Tensor:
        """Returns the nearest of 256 values to each input."""
        return tf.quantization.fake_quant_with_min_max_args(
            inputs, 0.0, self.limit
        )

    def get_config(self) -> dict:
        """Returns the arguments."""
        return {"limit": self.limit}


class FixedRangeQuantizeConfig(tfmot.quantization.keras.QuantizeConfig):
    """Quantizes a layer's output, in [0, limit], and nothing else."""

    def __init__(self, limit: float):
        self.limit = limit

    def get_weights_and_quantizers(self, layer) -> list:
        """Returns no weights."""
        return []

    def get_activations_and_quantizers(self, layer) -> list:
        """Returns no activations."""
        return []

    def set_quantize_weights(self, layer, quantize_weights) -> None:
        """Sets nothing: no weights are quantized."""
        del layer, quantize_weights

    def set_quantize_activations(self, layer, quantize_activations) -> None:
        """Sets nothing: no activations are quantized."""
        del layer, quantize_activations

    def get_output_quantizers(self, layer) -> list:
        """Returns the output's quantizer, of the range [0, limit]."""
        return [FixedRange(self.limit)]

    def get_config(self) -> dict:
        """Returns the arguments."""
        return {"limit": self.limit}
