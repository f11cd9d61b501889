"""Defines learning rates that change with every step."""

from collections.abc import Sequence

import keras


def build(
    name: str,
    learning_rate: float,
    steps: int,
    *,
    milestones: Sequence[float] = (),
    rise: float = 0.0,
    warm_up: float = 0.0,
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Builds the learning rate of every step of a training.

    "step" multiplies by 0.1 at each milestone, as the papers do; "cosine"
    falls to zero along half a cosine (Loshchilov and Hutter, arXiv 1608.03983,
    without restarts); "linear" rises first, and then falls to zero.

    Args:
        name: "step", "cosine" or "linear".
        learning_rate: The highest learning rate.
        steps: Steps of the whole training.
        milestones: Shares of the steps at which "step" lowers the rate.
        rise: Share of the steps in which "linear" reaches the rate.
        warm_up: Share of the steps in which the rate rises from zero to what
            the schedule has there; 0 begins with the schedule.

    Raises:
        ValueError: If there is no such schedule.
    """
    total = max(1, steps)
    if name == "cosine":
        schedule = keras.optimizers.schedules.CosineDecay(learning_rate, total)
    elif name == "linear":
        schedule = LinearRamp(learning_rate, total, int(total * rise))
    elif name == "step":
        # Keras needs one place at least; after the last step it is none.
        shares = list(milestones) or [1.0]
        schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
            [round(total * share) for share in shares],
            [learning_rate * 0.1**i for i in range(len(shares) + 1)],
        )
    else:
        raise ValueError(
            "`name` must be one of step, cosine, linear. "
            f"Received: name={name!r}"
        )
    warming = int(total * warm_up)
    return WarmUp(schedule, warming) if warming else schedule


@keras.saving.register_keras_serializable(package="keras_dynamic")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Lets the learning rate of a schedule rise from zero at the beginning.

    Step t, from 0, has the schedule's rate times (t + 1) / steps up to the step
    before `steps`; from there the schedule's own (Goyal et al., arXiv
    1706.02677, section 2.2).

    Args:
        schedule: The schedule.
        steps: Steps of the way up, positive.

    Raises:
        ValueError: Unless `steps` is positive.
    """

    def __init__(
        self,
        schedule: keras.optimizers.schedules.LearningRateSchedule,
        steps: int,
    ):
        super().__init__()
        if steps < 1:
            raise ValueError(
                f"`steps` must be positive. Received: steps={steps}"
            )
        self.schedule = schedule
        self.steps = steps

    def __call__(self, step):
        """Returns the rate of a step, a float32 scalar."""
        share = (keras.ops.cast(step, "float32") + 1) / self.steps
        return self.schedule(step) * keras.ops.minimum(share, 1.0)

    def get_config(self):
        """Returns the schedule's arguments."""
        serialized = keras.optimizers.schedules.serialize(self.schedule)
        return {"schedule": serialized, "steps": self.steps}

    @classmethod
    def from_config(cls, config):
        """Builds the schedule from what `get_config` returned."""
        inner = keras.optimizers.schedules.deserialize(config["schedule"])
        return cls(inner, config["steps"])


@keras.saving.register_keras_serializable(package="keras_dynamic")
class LinearRamp(keras.optimizers.schedules.LearningRateSchedule):
    """Raises the learning rate linearly to a peak, then lowers it to zero.

    It is for a training of few epochs: Li et al., "Budgeted Training", ICLR
    2020, arXiv 1905.04753, find a linear way down to zero better than steps or
    a cosine. The way up lets the peak be high.

    Step t, from 0, has peak * (t + 1) / rise up to the step before `rise`,
    which has the peak, and peak * (steps - t) / (steps - rise) from there; the
    step after the last would have 0.

    Args:
        peak: The highest learning rate.
        steps: Steps of the whole training.
        rise: Steps of the way up; 0 begins with the peak.

    Raises:
        ValueError: Unless `steps` is positive, and `rise` from 0 to below it.
    """

    def __init__(self, peak: float, steps: int, rise: int):
        super().__init__()
        if not 0 <= rise < steps:
            raise ValueError(
                "`rise` must be at least 0 and below `steps`. "
                f"Received: rise={rise}, steps={steps}"
            )
        self.peak = peak
        self.steps = steps
        self.rise = rise

    def __call__(self, step):
        """Returns the rate of a step, a float32 scalar."""
        step = keras.ops.cast(step, "float32")
        up = (step + 1) / max(1, self.rise)
        down = (self.steps - step) / (self.steps - self.rise)
        share = keras.ops.where(step < self.rise, up, down)
        return self.peak * keras.ops.maximum(share, 0.0)

    def get_config(self):
        """Returns the schedule's arguments."""
        return {"peak": self.peak, "steps": self.steps, "rise": self.rise}
