"""Holds `config.train`: how the float model is trained."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pipeline.config.sections.stage_section import Stage
from pipeline.config.setting import setting
from pipeline.config.value_rules import at_least, one_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train(Stage):
    """Says how the float model is trained."""

    stages: tuple[Mapping[str, Any], ...] = setting(
        (),
        "Stages of the training, one after another ([stages](training.md"
        "#stages)): dicts, which take from here what they do not say. Empty: "
        "one stage.",
        each=Stage,
    )
    feature_gib: float = setting(
        4.0,
        "Most that the outputs of frozen layers may take on disk, so that "
        "they are computed once.",
        at_least(0),
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
