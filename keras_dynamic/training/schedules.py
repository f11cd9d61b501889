"""Defines learning rates that change with every step."""

import keras


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
