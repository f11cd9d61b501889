"""Defines a rule: a way to find thresholds, and its promise of them."""

from collections.abc import Callable
from dataclasses import dataclass

from keras_dynamic.exits.fitting.fitted import Fitted


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Describes a way to fit a policy to images.

    Attributes:
        fit: Function that takes the images, a `Calibration`, and its settings
            by keyword. Its name is the rule's.
        settings: Names of the keyword arguments to give; the first is the
            target, by which tables tell its policies apart. Of "q" and "budget"
            one is given.
        here: The promise on the images that it is fitted to; "" for none.
        elsewhere: The promise on other images; "" for none.
        own_images: Whether the promise on others holds only if nothing else,
            neither temperatures nor a scheduler, was fitted to the same images.
        own_scores: Whether the rule learns its scores, whatever those of the
            images.
    """

    fit: Callable[..., Fitted]
    settings: tuple[str, ...]
    here: str = ""
    elsewhere: str = ""
    own_images: bool = False
    own_scores: bool = False

    @property
    def name(self) -> str:
        """Returns the rule's name in a configuration and in `Fitted.facts`."""
        return self.fit.__name__
