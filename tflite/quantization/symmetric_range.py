"""Quantizes the output of a layer like weights: with zero point 0."""

from tensorflow_model_optimization.python.core.quantization.keras import (
    quantizers,
)
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (  # noqa: E501
    default_8bit_quantize_registry as registry,
)


class SymmetricRangeQuantizeConfig(registry.Default8BitQuantizeConfig):
    """Quantizes `kernel` per tensor, and the output in [-limit, limit].

    The limit is a moving average. XNNPACK takes a BATCH_MATMUL in int8 if its
    right side is such a tensor.
    """

    def __init__(self):
        super().__init__(["kernel"], [], True)

    def get_output_quantizers(self, layer) -> list:
        """Returns the output's quantizer, a symmetric moving average."""
        del layer
        return [
            quantizers.MovingAverageQuantizer(
                num_bits=8, per_axis=False, symmetric=True, narrow_range=True
            )
        ]

    def get_config(self) -> dict:
        """Returns no arguments."""
        return {}
