"""Checks whether a model can be quantized, before it is trained."""

import ml_collections

from pipeline.config import training_stages
from pipeline.training import foresight, network
from tflite.quantization import methods


def check(config: ml_collections.ConfigDict) -> None:
    """Builds the model, untrained, and has the method look at each layer.

    Args:
        config: The whole configuration; its source is listed, for the classes.

    Raises:
        ValueError: If the method has no form of a layer, or the model cannot
            be built.
    """
    stage = training_stages.of(config)[-1]
    classes = len(foresight.seen(config).labels)
    plain = network.build(stage, classes, weights=False)
    model = network.objective(stage).extend(plain).model
    method = config.quantize.method
    try:
        methods.check(method, model, config.quantize.keep_float)
    except ValueError as error:
        raise ValueError(
            f"`quantize.method` {method!r} must take all layers of "
            f"{config.model.family!r}: {error}"
        ) from error
