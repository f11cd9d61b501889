"""Lists the kinds of policies: the measures of confidence, by name."""

from collections.abc import Mapping

from keras_dynamic.exits.decision import confidence
from keras_dynamic.exits.decision.patience import Patience
from keras_dynamic.exits.decision.scheduler import Scheduler

_MEASURES: Mapping[str, confidence.Measure] = {
    "max_probability": confidence.MAX_PROBABILITY,
    "margin": confidence.Memoryless(confidence.lead),
    "entropy": confidence.Memoryless(confidence.certainty),
    "patience": Patience(),
}

KINDS = (*_MEASURES, "scheduler")


def measure(
    kind: str, scheduler: Scheduler | None = None
) -> confidence.Measure:
    """Returns the measure of a kind.

    Args:
        kind: One of `KINDS`.
        scheduler: The scheduler of the kind "scheduler"; None for others.

    Raises:
        ValueError: If there is no such kind, or `scheduler` does not go with
            it.
    """
    if kind not in KINDS:
        raise ValueError(
            f"`kind` must be one of {list(KINDS)}. Received: {kind!r}"
        )
    if (kind == "scheduler") != isinstance(scheduler, Scheduler):
        raise ValueError(
            "`scheduler` must be a Scheduler for the kind 'scheduler', and "
            f"None for any other. Received: {type(scheduler).__name__} for "
            f"{kind!r}"
        )
    return scheduler or _MEASURES[kind]
