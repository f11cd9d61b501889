"""Holds the images that rules fit a policy to."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_dynamic.exits.decision import checks, confidence, kinds
from keras_dynamic.exits.decision.outcome import correct, tally
from keras_dynamic.exits.decision.policy import Policy, first_exits
from keras_dynamic.exits.decision.scheduler import Scheduler
from keras_dynamic.exits.fitting import frontier
from keras_dynamic.exits.fitting.fitted import Fitted


@dataclass(frozen=True, eq=False, kw_only=True)
class Calibration:
    """Holds N images, each exit's scores of them, and the costs of the exits.

    Attributes:
        logits: One [N, C] array per exit, shallow to deep.
        labels: Classes, integers [N] in [0, C).
        costs: Increasing, cumulative per exit, [K].
        temperatures: One per exit, [K].
        kind: Kind of the policy to fit, which names the scores.
        scheduler: Scheduler of the policy to fit, or None.
        scores: Numbers in [0, 1], float64 [K, N].
        right: Whether each exit's top class is the label, bool [K, N].
    """

    logits: tuple[np.ndarray, ...]
    labels: np.ndarray
    costs: np.ndarray
    temperatures: tuple[float, ...]
    kind: str
    scheduler: Scheduler | None
    scores: np.ndarray
    right: np.ndarray

    @functools.cached_property
    def frontier(self) -> frontier.Frontier:
        """Finds, once, the best thresholds for every cost and accuracy."""
        return frontier.frontier(self.scores, self.right, self.costs)

    def fitted(
        self,
        thresholds: Sequence[float],
        enabled: Sequence[bool],
        **facts: str | bool | float,
    ) -> Fitted:
        """Returns a policy that compares such scores with thresholds.

        Args:
            thresholds: One per exit, [K].
            enabled: Whether an image may stop at each exit, [K].
            **facts: The origin of the thresholds, the rule first; the number of
                images is added.
        """
        policy = Policy(
            kind=self.kind,
            temperatures=self.temperatures,
            thresholds=tuple(thresholds),
            enabled=tuple(enabled),
            scheduler=self.scheduler,
            fitted={**facts, "images": self.scores.shape[1]},
        )
        return Fitted(policy)

    def from_frontier(self, index: int, **facts: str | bool | float) -> Fitted:
        """Returns a policy of the frontier.

        Args:
            index: Place of the policy on the frontier.
            **facts: The rule and its settings; accuracy and mean cost on these
                images are added.
        """
        thresholds = self.frontier.thresholds[index]
        taken = first_exits(self.scores, thresholds)
        got = tally(taken, self.right, self.costs)
        return self.fitted(
            *frontier.between(thresholds, self.scores),
            **facts,
            accuracy=got.accuracy,
            mean_cost=got.mean_cost,
        )


def calibrate(
    logits: Sequence[np.ndarray],
    labels: np.ndarray,
    costs: Sequence[float],
    temperatures: Sequence[float],
    *,
    kind: str = kinds.KINDS[0],
    scheduler: Scheduler | None = None,
) -> Calibration:
    """Scores images, once for all the rules that are to be tried.

    Args:
        logits: One [N, C] array per exit, shallow to deep; C at least 2. They
            are kept, not copied.
        labels: Classes, integers [N] in [0, C).
        costs: Increasing, cumulative per exit, [K]: multiply-adds or
            milliseconds.
        temperatures: One per exit, [K].
        kind: One of `kinds.KINDS`: the measure of confidence.
        scheduler: The scheduler of the kind "scheduler"; None for others.

    Raises:
        ValueError: If an argument is not as said.
    """
    costs = checks.exit_costs(costs, temperatures)
    measure = kinds.measure(kind, scheduler)
    arrays = checks.exit_logits(logits, len(costs), classes=2)
    labels = checks.class_labels(labels, *arrays[0].shape)
    return Calibration(
        logits=arrays,
        labels=labels,
        costs=costs,
        temperatures=tuple(temperatures),
        kind=kind,
        scheduler=scheduler,
        scores=confidence.confidences(arrays, temperatures, measure),
        right=correct(arrays, labels, len(costs)),
    )
