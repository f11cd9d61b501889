"""Defines the fitted policy that every rule returns."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from keras_dynamic.exits.decision.policy import Policy

STATUSES = {
    "fitted": "thresholds as asked for",
    "within_budget": "the budget binds",
    "last_exit_affordable": "the budget pays for the last exit for every image",
    "controlled": "the promise of new images holds",
    "kept_on_average": "too few images for the promise; a weaker one holds",
    "too_few_images": "too few images; every image goes to the last exit",
    "last_exit_only": "no early exit is safe; every image goes to the last",
}


@dataclass(frozen=True)
class Fitted:
    """Holds a policy that a rule fitted to images.

    Attributes:
        policy: The policy; its `fitted` tells where its thresholds come from.
    """

    policy: Policy

    @property
    def facts(self) -> Mapping[str, str | bool | float]:
        """Returns the rule, its settings, and its results on its images."""
        return self.policy.fitted or {}

    @property
    def status(self) -> str:
        """Tells how far the policy is as asked for: one of `STATUSES`."""
        return self.facts.get("status", "fitted")

    def with_facts(self, **facts: str | bool | float) -> "Fitted":
        """Returns the same thresholds with further facts, or other ones.

        Args:
            **facts: Names to strings, booleans and finite numbers.
        """
        fitted = {**self.facts, **facts}
        return Fitted(dataclasses.replace(self.policy, fitted=fitted))
