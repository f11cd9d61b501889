"""What rules know of the images that they fit a policy to."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_dynamic.exits.decision import checks, confidence, kinds
from keras_dynamic.exits.decision.outcome import correct, tally
from keras_dynamic.exits.decision.policy import Policy, first_exits
from keras_dynamic.exits.decision.scheduler import Scheduler
from keras_dynamic.exits.fitting import frontier


@dataclass(frozen=True, eq=False, kw_only=True)
class Scored:
    """How sure each exit is of N images.

    Attributes:
        temperatures: One per exit, [K].
        kind: Of the policy to fit; what the scores are.
        scheduler: Of the policy to fit.
        scores: In [0, 1], float64 [K, N].
    """

    temperatures: tuple[float, ...]
    kind: str
    scheduler: Scheduler | None
    scores: np.ndarray

    def policy(
        self,
        thresholds: Sequence[float],
        enabled: Sequence[bool],
        **fitted: str | bool | float,
    ) -> Policy:
        """Returns a policy that compares such scores with thresholds.

        Args:
            thresholds: One per exit, [K].
            enabled: Likewise.
            **fitted: Where they come from; the number of images is added.
        """
        return Policy(
            kind=self.kind,
            temperatures=self.temperatures,
            thresholds=tuple(thresholds),
            enabled=tuple(enabled),
            scheduler=self.scheduler,
            fitted={**fitted, "images": self.scores.shape[1]},
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Calibration(Scored):
    """Also whether each exit is right, and what it costs.

    Attributes:
        right: Whether each exit's top class is the label, bool [K, N].
        costs: Increasing, cumulative per exit, [K].
    """

    right: np.ndarray
    costs: np.ndarray

    @functools.cached_property
    def frontier(self) -> frontier.Frontier:
        """The best thresholds for every cost and accuracy, found once."""
        return frontier.frontier(self.scores, self.right, self.costs)

    def from_frontier(self, index: int, **fitted: str | bool | float) -> Policy:
        """Returns a policy of the frontier.

        Args:
            index: Which.
            **fitted: The rule and what was asked of it; what the policy gives
                on these images is added.
        """
        thresholds = self.frontier.thresholds[index]
        taken = first_exits(self.scores, thresholds)
        got = tally(taken, self.right, self.costs)
        return self.policy(
            *frontier.between(thresholds, self.scores),
            **fitted,
            accuracy=got.accuracy,
            mean_cost=got.mean_cost,
        )


def score(
    logits: Sequence[np.ndarray],
    temperatures: Sequence[float],
    *,
    kind: str = kinds.KINDS[0],
    scheduler: Scheduler | None = None,
) -> Scored:
    """Looks at images without labels, for as many rules as are to be tried.

    Args:
        logits: One [N, C] array per exit, shallow to deep; C at least 2.
        temperatures: One per exit, [K].
        kind: One of `kind.KINDS`: the measure of confidence.
        scheduler: For the kind "scheduler".

    Raises:
        ValueError: If an argument is not as said.
    """
    measure = kinds.measure(kind, scheduler)
    arrays = checks.exit_logits(logits, len(temperatures), classes=2)
    return Scored(
        temperatures=tuple(temperatures),
        kind=kind,
        scheduler=scheduler,
        scores=confidence.confidences(arrays, temperatures, measure),
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
    """Looks at images with labels, for as many rules as are to be tried.

    Args:
        logits: One [N, C] array per exit, shallow to deep; C at least 2.
        labels: Classes, integers [N] in [0, C).
        costs: Increasing, cumulative per exit, [K]: multiply-adds or
            milliseconds.
        temperatures: One per exit, [K].
        kind: As for `score`.
        scheduler: As there.

    Raises:
        ValueError: If an argument is not as said.
    """
    costs = checks.exit_costs(costs, temperatures)
    scored = score(logits, temperatures, kind=kind, scheduler=scheduler)
    return Calibration(
        **vars(scored),
        right=correct(logits, labels, len(costs)),
        costs=costs,
    )
