"""The exit policy: at which exit does an image stop?"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

import numpy as np

from keras_dynamic.exits import confidence, inputs

KINDS = ("max_probability",)

# What fitted policies store for a disabled exit, where it plays no part. The
# strictest value: who overlooks `enabled` loses time rather than accuracy.
DISABLED_THRESHOLD = 1.0


@dataclass(frozen=True, kw_only=True)
class Policy:
    """An image stops at the first enabled exit that is sure enough.

    It is sure if its largest softmax probability, after division of the logits
    by the exit's temperature, is at least the exit's threshold. An image that
    passes a disabled exit pays for the segment all the same.

    Attributes:
        kind: The measure of confidence; one of `KINDS`.
        temperatures: Finite and positive, one per exit.
        thresholds: In [0, 1], one per exit; the last is 0.
        enabled: Whether an image may stop there; the last is True.

    Raises:
        ValueError: If a value breaks one of these rules.
    """

    kind: str = KINDS[0]
    temperatures: tuple[float, ...]
    thresholds: tuple[float, ...]
    enabled: tuple[bool, ...]

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(
                f"`kind` must be one of {list(KINDS)}. Received: {self.kind!r}"
            )
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
        """The number of exits, K."""
        return len(self.thresholds)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as in the "policy" of a bundle's manifest."""
        return {
            "kind": self.kind,
            "temperatures": list(self.temperatures),
            "thresholds": list(self.thresholds),
            "enabled": list(self.enabled),
        }

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
        names = [field.name for field in fields(cls)]
        if set(values) != set(names):
            missing = [name for name in names if name not in values]
            unknown = [name for name in values if name not in names]
            raise ValueError(
                f"`policy` must have the keys {names}. "
                f"Received: missing {missing}, unknown {unknown}"
            )
        return cls(**values)

    def leaves(self, exit: int, probabilities: np.ndarray) -> np.ndarray:
        """Says which images stop at an exit, if they get that far.

        Args:
            exit: From 0, shallow to deep.
            probabilities: That exit's `softmax` at its temperature, [..., C].

        Returns:
            Booleans [...]: all False at a disabled exit, all True at the last.

        Raises:
            ValueError: If there is no such exit.
        """
        if not 0 <= exit < self.exits:
            raise ValueError(
                f"`exit` must lie in [0, {self.exits}). Received: {exit}"
            )
        probabilities = np.asarray(probabilities)
        if not self.enabled[exit]:
            return np.zeros(probabilities.shape[:-1], dtype=bool)
        return probabilities.max(axis=-1) >= self.thresholds[exit]

    def route(self, logits: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the exit at which each image stops, int [N].

        The same decisions, bit for bit, as asking `leaves` exit by exit about
        one image at a time.

        Args:
            logits: One [N, C] array per exit, shallow to deep.

        Raises:
            ValueError: If the number of exits or a shape is wrong, or if a
                logit is NaN or infinite; names the exit.
        """
        arrays = inputs.exit_logits(logits, self.exits)
        probabilities = map(confidence.softmax, arrays, self.temperatures)
        leaves = [self.leaves(*each) for each in enumerate(probabilities)]
        return np.argmax(leaves, axis=0)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _temperature(value: Any) -> float | None:
    return float(value) if _is_number(value) and 0 < value < math.inf else None


def _threshold(value: Any) -> float | None:
    return float(value) if _is_number(value) and 0 <= value <= 1 else None


def _flag(value: Any) -> bool | None:
    return bool(value) if isinstance(value, bool | np.bool_) else None
