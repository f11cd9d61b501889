"""Raises a number from 0 to 1 over the first steps of training."""

import keras


@keras.saving.register_keras_serializable(package="keras_dynamic")
class Ramp(keras.layers.Layer):
    """Counts its calls in training, and says how much of a ramp they make.

    It is called without inputs, by the layer that holds it:
    `ramp(training=training)`. The k-th call in training, from 0, gives
    min(1, k / steps). Outside of training it gives 1, however far training
    got: a model is evaluated as it is deployed, and there no ramp is left.

    Args:
        steps: Calls until the number is 1; 0 makes it 1 from the start.

    Output: a float32 scalar, in any precision.

    Raises:
        ValueError: If `steps` is not an integer, or negative.
    """

    def __init__(self, steps: int, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(steps, int) or steps < 0:
            raise ValueError(
                "`steps` must be an integer that is not negative. "
                f"Received: steps={steps!r}"
            )
        self.steps = steps

    def build(self):
        """Makes the counter, state like the statistics of normalization."""
        self.seen = self.add_weight(
            name="seen",
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
        )

    def reached(self):
        """Returns what the next call in training will give; counts no call."""
        if not self.steps:
            return keras.ops.ones((), "float32")
        return keras.ops.cast(self.seen, "float32") / self.steps

    def call(self, training=None):
        """Returns the scalar; in training, counts one call more."""
        if not training or not self.steps:
            return keras.ops.ones((), "float32")
        value = self.reached()
        # Not counted on, so that the counter cannot overflow.
        self.seen.assign(keras.ops.minimum(self.seen + 1, self.steps))
        return value

    def get_config(self):
        """Returns the layer's argument."""
        return {**super().get_config(), "steps": self.steps}
