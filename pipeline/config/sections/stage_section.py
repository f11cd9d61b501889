"""Holds what a stage of the training may have of its own."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pipeline.config.setting import setting
from pipeline.config.value_rules import Rule, at_least, below_one, one_of

OBJECTIVES = (
    "boosted",
    "cost_target",
    "joint",
    "layer_caching",
    "negative_correlation",
    "one_for_all",
    "self_distillation",
    "survivors",
    "zero_time_waste",
)
AUGMENTATIONS = ("none", "flip", "crop_flip", "shift", "resized_crop_flip")
OPTIMIZERS = (
    "sgd",
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "ftrl",
    "lamb",
    "lion",
    "nadam",
    "rmsprop",
)


def _rising_shares(values: tuple[float, ...]) -> bool:
    return list(values) == sorted(values) and all(0 <= v <= 1 for v in values)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """Says how the float model is trained in one stage, or in all of them."""

    freeze: str = setting(
        "",
        "What is not trained, with commas between: names of layers or patterns "
        'such as "block1_*", "backbone" for all that belongs to no exit, '
        '"up to exit 1" for all that this exit depends on; "!exit_2*" takes '
        "what it names out again. Empty: all is trained.",
    )
    objective: str = setting(
        "joint",
        "How the exits are trained together ([objectives](objectives.md)).",
        one_of(*OBJECTIVES),
    )
    objective_arguments: Mapping[str, Any] = setting(
        dict, "Arguments of the objective."
    )
    epochs: int = setting(300, "Passes over the training split.", at_least(1))
    batch_size: int = setting(64, "Images per step.", at_least(1))
    size: int = setting(
        0,
        "Height and width that the images of `model.size` are scaled to; "
        "0: as they are.",
        at_least(0),
    )
    learning_rate: float = setting(
        0.1, "Highest learning rate of the schedule.", at_least(0)
    )
    schedule: str = setting(
        "step",
        '"step": times 0.1 at each milestone. "cosine": down to zero along '
        'half a cosine. "linear": up to the learning rate in a share `rise` of '
        "the steps, from there down to zero at the last one.",
        one_of("step", "cosine", "linear"),
    )
    milestones: tuple[float, ...] = setting(
        (0.5, 0.75),
        'Shares of the epochs after which "step" lowers the learning rate.',
        Rule("rising shares from 0 to 1", _rising_shares),
    )
    rise: float = setting(
        0.2,
        'Share of the steps in which "linear" reaches the learning rate.',
        below_one(),
    )
    warm_up: float = setting(
        0.0,
        "Share of the steps in which the learning rate rises from zero, "
        "whatever the schedule.",
        below_one(),
    )
    optimizer: str = setting(
        "sgd",
        '"sgd" with the decay of the papers\' code, or another of Keras.',
        one_of(*OPTIMIZERS),
    )
    optimizer_arguments: Mapping[str, Any] = setting(
        dict, "Arguments of the optimizer beside the keys here."
    )
    momentum: float = setting(0.9, "Momentum of SGD.", below_one())
    nesterov: bool = setting(False, "Whether the momentum is Nesterov's.")
    weight_decay: float = setting(
        1e-4,
        "Share of each weight that is added to its gradient; of another "
        "optimizer than SGD: taken off it at each step, times the rate.",
        at_least(0),
    )
    weight_decay_on: str = setting(
        "all",
        'What decays: "all" trainable weights, as in the papers\' code, or '
        '"kernels" alone, neither biases nor batch normalization.',
        one_of("all", "kernels"),
    )
    clip_norm: float = setting(
        0.0,
        "Longest gradient, all weights together, to which longer ones are "
        "shortened; 0: any length.",
        at_least(0),
    )
    label_smoothing: float = setting(
        0.0,
        "Share of each label that is spread over all classes, in every exit's "
        "cross-entropy; in quantization-aware training, too.",
        below_one(),
    )
    average_decay: float = setting(
        0.0,
        "Share that a running average of the weights keeps at each step. The "
        "average is what is validated, evaluated and converted; 0: the "
        "weights.",
        below_one(),
    )
    augmentation: str = setting(
        "crop_flip",
        "Random changes of the training images ([training](training.md)).",
        one_of(*AUGMENTATIONS),
    )
    augmentation_options: Mapping[str, Any] = setting(
        dict, "Options of the augmentation."
    )
    stop_after: int = setting(
        0,
        "Epochs without a gain in the mean validation accuracy of the exits "
        "after which the rest is left out; 0: never.",
        at_least(0),
    )
