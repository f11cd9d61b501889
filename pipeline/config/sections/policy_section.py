"""Holds `config.policy`: how the exit policy of the bundle is fitted."""

import dataclasses
import math

from pipeline.config.setting import setting
from pipeline.config.value_rules import (
    Rule,
    at_least,
    between,
    one_of,
    positive,
)

RULES = (
    "accuracy_drop",
    "budgeted_drop",
    "promised_drop",
    "cost_budget",
    "budgeted_batch",
    "scheduler",
    "conformal",
    "upper_bound",
)
CONFIDENCES = ("max_probability", "margin", "entropy", "patience", "scheduler")
RISKS = ("accuracy_gap", "inconsistency")


def _rising(values: tuple[float, ...]) -> bool:
    return list(values) == sorted(set(values)) and all(v > 0 for v in values)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SchedulerTraining:
    """Says how a scheduler is learned: faster than in the authors' code."""

    epochs: int = setting(100, "Passes over the images, at most.", at_least(1))
    batch_size: int = setting(128, "Images per step.", at_least(1))
    learning_rate: float = setting(2e-3, "Learning rate of Adam.", positive())
    weight_decay: float = setting(
        1e-2, "Share of each weight that is added to its gradient.", at_least(0)
    )
    alpha_ce: float = setting(
        1e-3, "Weight of the shares' divergence from the scores.", at_least(0)
    )
    alpha_cost: float = setting(
        1e-2, "Weight of the distance from the budget.", at_least(0)
    )
    beta: float = setting(
        1.0,
        "Power of the scores that the shares are compared with.",
        positive(),
    )
    hidden_ratio: float = setting(
        0.5, "Hidden units of the network of shares per feature.", positive()
    )
    period: int = setting(
        10, "Epochs after which scores and shares change turns.", at_least(1)
    )
    tolerance: int = setting(
        100,
        "Epochs without a lower loss after which it ends; looked at whenever "
        "turns change.",
        at_least(1),
    )
    seed: int = setting(
        0,
        "Seed of the first weights and of the order of the images.",
        at_least(0),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Policy:
    """Says how the exit policy is fitted on the calibration split."""

    rule: str = setting(
        "promised_drop",
        "What the policy promises ([policies](policies.md)).",
        one_of(*RULES),
    )
    confidence: str = setting(
        "max_probability",
        'What makes an exit sure; "scheduler" is learned for the budget.',
        one_of(*CONFIDENCES),
    )
    max_drop_points: float = setting(
        0.5,
        "accuracy_drop, budgeted_drop, promised_drop: largest loss against the "
        "last exit, in percentage points.",
        between(0, 100),
    )
    q: float = setting(
        0.5,
        "budgeted_batch: exit k gets a share proportional to q to the power k; "
        "0 takes the largest q that the budget pays for.",
        Rule("finite and at least 0", lambda value: 0 <= value < math.inf),
    )
    budget: float = setting(
        0.5,
        "Highest mean cost of an image, as a share of the last exit's.",
        positive(),
    )
    exit_ms: tuple[float, ...] = setting(
        (),
        "Cost up to each exit in measured milliseconds; empty: in "
        "multiply-adds.",
        Rule("rising positive numbers", _rising),
    )
    epsilon_points: float = setting(
        1.0,
        "conformal, upper_bound: largest loss against the last exit, in "
        "percentage points.",
        between(0, 100),
    )
    risk: str = setting(
        "accuracy_gap",
        "conformal, upper_bound: of what that is the largest loss.",
        one_of(*RISKS),
    )
    delta: float = setting(
        0.1,
        "promised_drop, upper_bound: with what probability a promise of new "
        "images may be wrong.",
        Rule("above 0 and below 1", lambda value: 0 < value < 1),
    )
    scheduler: SchedulerTraining = setting(SchedulerTraining)
