"""Fits thresholds to an accuracy: the cheapest policy that keeps it."""

from keras_dynamic.exits.fitting.calibration import Calibration
from keras_dynamic.exits.fitting.fitted import Fitted
from keras_dynamic.exits.fitting.rule import Rule


def accuracy_drop(images: Calibration, max_drop: float) -> Fitted:
    """Finds the cheapest policy that loses at most `max_drop` of accuracy.

    On these images, and only there (accuracy on others is not promised), it
    holds that:

    - accuracy >= the last exit's accuracy - max_drop, as float64 numbers;
    - a larger `max_drop` never costs more;
    - with up to three exits no thresholds are cheaper, with more no change of
      a single threshold, as far as the work of `frontier.frontier` allowed:
      `slack` and `closed` of `Calibration.frontier` tell how far.

    An image that stops at exit k costs `costs[k]`, also behind disabled exits:
    their segments run nevertheless. Only exits at which no image stops are
    disabled, because disabling any other would send its images to a deeper,
    dearer one.

    Args:
        images: The images, from `calibrate`.
        max_drop: A fraction in [0, 1]; 0.005 is half a percentage point.

    Raises:
        ValueError: If `max_drop` is no such number.
    """
    check_drop(max_drop)
    index = images.frontier.cheapest(images.right[-1].mean() - max_drop)
    return images.from_frontier(index, rule=RULE.name, max_drop=max_drop)


def check_drop(max_drop: float) -> None:
    """Raises a ValueError if `max_drop` is no fraction in [0, 1]."""
    if not 0.0 <= max_drop <= 1.0:
        raise ValueError(
            f"`max_drop` must be a fraction in [0, 1]. Received: {max_drop}"
        )


RULE = Rule(
    fit=accuracy_drop,
    settings=("max_drop",),
    here="the cheapest policy that loses no more",
)
