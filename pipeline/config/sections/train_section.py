"""Holds `config.train`: how the float model is trained."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pipeline.config.setting import setting
from pipeline.config.value_rules import Rule, at_least, below_one, one_of

OBJECTIVES = (
    "boosted",
    "cost_target",
    "joint",
    "one_for_all",
    "self_distillation",
    "zero_time_waste",
)
AUGMENTATIONS = ("none", "crop_flip", "shift", "resized_crop_flip")


def _rising_shares(values: tuple[float, ...]) -> bool:
    return list(values) == sorted(values) and all(0 <= v <= 1 for v in values)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train:
    """Says how the float model is trained."""

    objective: str = setting(
        "joint",
        "How the exits are trained together ([objectives](objectives.md)).",
        one_of(*OBJECTIVES),
    )
    objective_arguments: Mapping[str, Any] = setting(
        dict, "Arguments of the objective."
    )
    gradient_equilibrium: bool = setting(
        False,
        "Whether layers that exits share get the mean of the exits' gradients "
        "instead of their sum.",
    )
    initial_weights: str = setting(
        "",
        "A trained model, a .keras file: what has the name and the shapes of a "
        "layer there starts with its weights; empty: all weights at random.",
    )
    epochs: int = setting(300, "Passes over the training split.", at_least(1))
    batch_size: int = setting(64, "Images per step.", at_least(1))
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
    momentum: float = setting(0.9, "Momentum of SGD.", below_one())
    nesterov: bool = setting(False, "Whether the momentum is Nesterov's.")
    weight_decay: float = setting(
        1e-4,
        "Share of each weight that is added to its gradient.",
        at_least(0),
    )
    weight_decay_on: str = setting(
        "all",
        'What decays: "all" trainable weights, as in the papers\' code, or '
        '"kernels" alone, neither biases nor batch normalization.',
        one_of("all", "kernels"),
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
    precision: str = setting(
        "float32",
        "The Keras dtype policy of training.",
        # Not mixed_float16, which would need its loss scaled.
        one_of("float32", "mixed_bfloat16"),
    )
    core_per_operation_up_to: int = setting(
        0,
        "With at most so many cores TensorFlow runs each operation on one of "
        "them, several at once; otherwise each on all.",
        at_least(0),
    )
    select: str = setting(
        "best",
        'Which weights are kept: "best", of the epoch of highest validation '
        'accuracy at the last exit, or "last".',
        one_of("best", "last"),
    )
    checkpoint_steps: int = setting(
        0,
        "Batches between checkpoints within an epoch; 0: at its end only.",
        at_least(0),
    )
