"""Decides at which exit an image stops: the exit policy."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Any

import numpy as np

from keras_dynamic.exits.decision import confidence, kinds
from keras_dynamic.exits.decision.scheduler import Scheduler

# What fitted policies store for a disabled exit, where it plays no part. The
# strictest value: who overlooks `enabled` loses time rather than accuracy.
DISABLED_THRESHOLD = 1.0


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Stops an image at the first enabled exit that is sure enough.

    An exit is sure if its score is at least its threshold. The score comes from
    the softmax probabilities, after division of the logits by the exit's
    temperature, in a way that `kind` names:

    - "max_probability": the largest probability;
    - "margin": the largest less the second;
    - "entropy": 1 - H / ln C;
    - "patience": how many exits in a row agree, by `patience.Patience`;
    - "scheduler": a learned score, by `scheduler.Scheduler`.

    An image that passes a disabled exit still pays for the exit's segment.

    Attributes:
        kind: Name of the measure of confidence.
        temperatures: Finite positive numbers, one per exit.
        thresholds: Numbers in [0, 1], one per exit; the last is 0.
        enabled: Whether an image may stop, one per exit; the last is True.
        scheduler: The scheduler of the kind "scheduler", with as many exits;
            else None.
        fitted: The origin of the thresholds, for people to read: names to
            strings, booleans and finite numbers. It decides nothing.

    Raises:
        ValueError: If a value breaks one of these rules.
    """

    kind: str = kinds.KINDS[0]
    temperatures: tuple[float, ...]
    thresholds: tuple[float, ...]
    enabled: tuple[bool, ...]
    scheduler: Scheduler | None = None
    fitted: Mapping[str, str | bool | float] | None = field(
        default=None, hash=False
    )

    def __post_init__(self) -> None:
        kinds.measure(self.kind, self.scheduler)
        self._set("temperatures", "finite positive numbers", _temperature)
        self._set("thresholds", "numbers in [0, 1]", _threshold)
        self._set("enabled", "booleans", _flag)
        lengths = [
            len(each)
            for each in (self.temperatures, self.thresholds, self.enabled)
        ]
        if len(set(lengths)) != 1 or 0 in lengths:
            raise ValueError(
                "`temperatures`, `thresholds` and `enabled` must be equally "
                "long and hold at least one exit. "
                f"Received: lengths {lengths}"
            )
        if not self.enabled[-1] or self.thresholds[-1] != 0.0:
            raise ValueError(
                "The last of `enabled` must be True and the last of "
                "`thresholds` 0.0: every image stops there. Received: "
                f"{self.enabled[-1]} and {self.thresholds[-1]}"
            )
        if self.scheduler and self.scheduler.exits != self.exits:
            raise ValueError(
                f"`scheduler` must have {self.exits} exits, as the policy has. "
                f"Received: {self.scheduler.exits}"
            )
        if self.fitted is not None:
            object.__setattr__(self, "fitted", _facts(self.fitted))

    @functools.cached_property
    def _measure(self) -> confidence.Measure:
        return kinds.measure(self.kind, self.scheduler)

    @functools.cached_property
    def _bars(self) -> list[float]:
        """Returns the thresholds; no score reaches a disabled exit's bar."""
        return np.where(self.enabled, self.thresholds, math.inf).tolist()

    def _set(
        self,
        name: str,
        rule: str,
        convert: Callable[[Any], float | bool | None],
    ) -> None:
        """Makes a field a tuple of plain Python values, which JSON takes."""
        values = getattr(self, name)
        if isinstance(values, list | tuple):
            converted = tuple(map(convert, values))
            if None not in converted:
                object.__setattr__(self, name, converted)
                return
        raise ValueError(
            f"`{name}` must be a list or tuple of {rule}. Received: {values!r}"
        )

    @property
    def exits(self) -> int:
        """Counts the exits, K."""
        return len(self.thresholds)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as in the "policy" of a bundle's manifest."""
        values: dict[str, Any] = {
            "kind": self.kind,
            "temperatures": list(self.temperatures),
            "thresholds": list(self.thresholds),
            "enabled": list(self.enabled),
        }
        if self.scheduler is not None:
            values["scheduler"] = self.scheduler.to_dict()
        if self.fitted is not None:
            values["fitted"] = dict(self.fitted)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Policy":
        """Returns the policy that `to_dict` wrote, through JSON or not.

        Raises:
            ValueError: If `values` is no mapping, or if a key is missing,
                unknown, or holds what the policy does not allow.
        """
        if not isinstance(values, Mapping):
            raise ValueError(
                "`policy` must be a mapping. "
                f"Received: {type(values).__name__} {values!r}"
            )
        names = [each.name for each in fields(cls)]
        optional = ("scheduler", "fitted")
        missing = [each for each in names if each not in (*values, *optional)]
        unknown = [each for each in values if each not in names]
        if missing or unknown:
            raise ValueError(
                f"`policy` must have the keys {names}, of which "
                f"{' and '.join(optional)} may be absent. "
                f"Received: missing {missing}, unknown {unknown}"
            )
        values = dict(values)
        if values.get("scheduler") is not None:
            values["scheduler"] = Scheduler.from_dict(values["scheduler"])
        return cls(**values)

    def looks_at(self, exit: int) -> bool:
        """Tells whether `step` must see an exit; elsewhere no image stops.

        It need not at disabled exits, unless the measure remembers them.
        """
        return self.enabled[exit] or self._measure.memory > 0

    def bar(self, exit: int) -> float:
        """Returns the score from which on an image stops; inf if disabled."""
        return self._bars[exit]

    def begin(self, *shape: int) -> np.ndarray:
        """Returns the state of images that have seen no exit, [..., M].

        Args:
            *shape: Shape of the images: none for a single one, N for a batch.
        """
        return np.zeros((*shape, self._measure.memory))

    def step(
        self, exit: int, probabilities: np.ndarray, state: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Tells which images stop at an exit, if they get that far.

        Args:
            exit: Index of the exit, from 0, shallow to deep; in turn, but for
                those that `looks_at` says may be left out.
            probabilities: The exit's `softmax` at its temperature, [..., C].
            state: The state from `begin` or the exit before, [..., M].

        Returns:
            Booleans [...], all False at a disabled exit and all True at the
            last; and the new state, [..., M].

        Raises:
            ValueError: If there is no such exit.
        """
        if not 0 <= exit < len(self._bars):
            raise ValueError(
                f"`exit` must lie in [0, {self.exits}). Received: {exit}"
            )
        scores, state = self._measure(exit, probabilities, state)
        return scores >= self._bars[exit], state

    def scores(self, logits: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the scores that thresholds are compared with, float64 [K, N].

        Policies that differ in their thresholds alone have the same scores.

        Args:
            logits: One [N, C] array per exit, shallow to deep.

        Raises:
            ValueError: If the number of exits or a shape is wrong, or if a
                logit is NaN or infinite; names the exit.
        """
        return confidence.confidences(logits, self.temperatures, self._measure)

    def stops(self, scores: np.ndarray) -> np.ndarray:
        """Returns the exit at which each image stops, int [N].

        Args:
            scores: Each exit's score of each image, from `scores`, [K, N].
        """
        return first_exits(scores, self._bars)

    def route(self, logits: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the exit at which each image stops, int [N].

        It decides, bit for bit, as `step` exit by exit with one image at a
        time. Arguments and errors are those of `scores`.
        """
        return self.stops(self.scores(logits))


def last_exit(temperatures: Sequence[float], **fields: Any) -> Policy:
    """Returns the policy that lets every image go to the last exit.

    Args:
        temperatures: One per exit, [K].
        **fields: Further fields of `Policy`.
    """
    early = len(temperatures) - 1
    return Policy(
        temperatures=tuple(temperatures),
        thresholds=(DISABLED_THRESHOLD,) * early + (0.0,),
        enabled=(False,) * early + (True,),
        **fields,
    )


def first_exits(scores: np.ndarray, bars: Sequence[float]) -> np.ndarray:
    """Returns the first exit whose score reaches its bar, int [N].

    Args:
        scores: Each exit's score of each image, [K, N].
        bars: One per exit, [K]; the last is not looked at.
    """
    last = len(scores) - 1
    taken = np.full(scores.shape[1], last)
    # From the deepest on: several times faster than to search each image.
    for exit in reversed(range(last)):
        np.copyto(taken, exit, where=scores[exit] >= bars[exit])
    return taken


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    try:
        return _is_number(value) and math.isfinite(value)
    except OverflowError:  # An integer that no float can hold; JSON has them.
        return False


def _temperature(value: Any) -> float | None:
    return float(value) if _is_finite(value) and value > 0 else None


def _threshold(value: Any) -> float | None:
    return float(value) if _is_number(value) and 0 <= value <= 1 else None


def _flag(value: Any) -> bool | None:
    return bool(value) if isinstance(value, bool | np.bool_) else None


def _facts(values: Any) -> dict[str, str | bool | float]:
    if not isinstance(values, Mapping) or not all(
        isinstance(name, str)
        and (isinstance(value, str | bool) or _is_finite(value))
        for name, value in values.items()
    ):
        raise ValueError(
            "`fitted` must map names to strings, booleans and finite numbers. "
            f"Received: {values!r}"
        )
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in values.items()
    }
