"""Lists the layers that can be quantized, one per file, in a registry.

Modules are imported when the registry is first asked for: each loads Keras,
TensorFlow or tfmot.
"""

import functools
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tflite.quantization.quantizable import Quantizable

MODULES = (
    "activation",
    "add",
    "average_pooling2d",
    "basis_coefficients",
    "basis_conv2d",
    "batch_normalization",
    "bias",
    "bilinear_resize",
    "choice",
    "concatenate",
    "conv2d",
    "dense",
    "depthwise_conv2d",
    "dropout",
    "flatten",
    "gate",
    "gate_score",
    "global_average_pooling2d",
    "gradient_scale",
    "max_pooling2d",
    "multiply",
    "relu",
    "reshape",
    "scale",
    "upsampling2d",
    "zero_padding2d",
)


@functools.cache
def registry() -> Mapping[type, "Quantizable"]:
    """Returns the layers by their class of Keras 3."""
    found = (importlib.import_module(f"{__name__}.{name}") for name in MODULES)
    return {each.LAYER.keras: each.LAYER for each in found}
