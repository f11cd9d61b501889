"""Holds `config.quantize`: how the model is fine-tuned for int8."""

import dataclasses

from pipeline.config.setting import setting
from pipeline.config.value_rules import at_least, one_of
from tflite.quantization import methods


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantize:
    """Says how the model is quantized, and fine-tuned for it."""

    method: str = setting(
        methods.DEFAULT,
        "How: fine-tuned with fake quantization by way of the legacy Keras "
        "(tfmot) or in Keras 3 (keras), or with the ranges of images alone "
        "(ptq), for which steps play no part.",
        one_of(*methods.NAMES),
    )
    keep_float: tuple[str, ...] = setting(
        (),
        "Names of layers without a form in int8 that stay float, by the "
        "methods keras and ptq; others are refused before the training.",
    )
    steps: int = setting(
        2000,
        "Batches of fine-tuning; 0 converts the trained model as it is.",
        at_least(0),
    )
    batch_size: int = setting(64, "Images per batch.", at_least(1))
    learning_rate: float = setting(
        1e-3, "Learning rate of fine-tuning.", at_least(0)
    )
    range_batches: int = setting(
        16,
        "Batches from which the ranges of activations are initialised.",
        at_least(1),
    )
    checkpoint_steps: int = setting(
        200,
        "Steps after which the state is written, by the method keras; 0 never.",
        at_least(0),
    )
