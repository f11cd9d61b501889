"""Describes how one metric compares with its reference."""

import dataclasses
from typing import Literal

# How a metric did. "regression", "improvement" and "changed": it is off its
# reference. "missing": there is nothing to compare with the reference, "new":
# nothing to compare it with. "expected" to be off, and is; "unexpected": it is
# not. "limit": a rule broken that needs no reference.
Status = Literal[
    "passed",
    "regression",
    "improvement",
    "changed",
    "missing",
    "new",
    "expected",
    "unexpected",
    "limit",
]


@dataclasses.dataclass(frozen=True)
class Finding:
    """Holds a metric beside its reference.

    Attributes:
        metric: Name of the metric.
        status: How the metric did.
        text: The status in a sentence, if it is more than "passed".
        reference: Value in the reference, if there is one.
        measured: Value measured now, if there is one.
        allowed: Largest difference allowed.
        p_value: Probability that chance changes as much; None if the metric
            is no share of images, or nothing is known of each image.
    """

    metric: str
    status: Status
    text: str = ""
    reference: float | None = None
    measured: float | None = None
    allowed: float = 0.0
    p_value: float | None = None

    @property
    def failed(self) -> bool:
        """Tells whether the finding shuts the gate."""
        return self.status not in ("passed", "expected")
