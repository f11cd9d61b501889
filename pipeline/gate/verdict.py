"""Describes the verdict of the gate on an experiment."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pipeline.gate.finding import Finding
from tflite.diagnosis.layer_error import LayerError


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Holds the findings, and the causes of those that failed.

    Attributes:
        config: Name of the configuration.
        level: Probability below which chance does not explain a change of a
            share of images, as in the reference.
        images: Number of test images.
        findings: Findings on the limits first, then one per metric.
        where: Sentences that name what went wrong, the likeliest first.
        layers: The error of every layer in the order of the graph, if there
            was a reason to look.
        updated: Whether the reference was rewritten to the measured numbers.
        made_from: Hashes of what was measured; see pipeline.results.identity.
    """

    config: str
    level: float
    images: int
    findings: tuple[Finding, ...]
    where: tuple[str, ...] = ()
    layers: tuple[LayerError, ...] = ()
    updated: bool = False
    made_from: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def failures(self) -> list[Finding]:
        """Lists the findings that shut the gate."""
        return [each for each in self.findings if each.failed]

    @property
    def sentence(self) -> str:
        """Says the verdict in one line."""
        off = len(self.failures)
        of = f"{len(self.findings)} metrics on {self.images} test images"
        if self.updated:
            return f"reference updated; {off} of {of} had changed"
        if off:
            return f"check failed: {off} of {of}"
        known = sum(each.status == "expected" for each in self.findings)
        more = f", {known} of them known to be off" if known else ""
        return f"check passed: {of}{more}"

    def to_dict(self) -> dict[str, Any]:
        """Returns the verdict as JSON."""
        return {
            "format_version": 1,
            "config": self.config,
            "made_from": dict(self.made_from),
            "passed": self.updated or not self.failures,
            "updated": self.updated,
            "sentence": self.sentence,
            "level": self.level,
            "images": self.images,
            "findings": [dataclasses.asdict(each) for each in self.findings],
            "where": list(self.where),
            "layers": [dataclasses.asdict(each) for each in self.layers],
        }
