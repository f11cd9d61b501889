"""Runs SGD with weight decay through the momentum, as in the papers."""

import keras

from keras_dynamic.training.weight_average import WeightAverage


@keras.saving.register_keras_serializable(package="keras_dynamic")
class CoupledSGD(WeightAverage, keras.optimizers.Optimizer):
    """Runs SGD with momentum and L2 decay added to the gradient.

    A step is that of the reference code of RANet, MSDNet and BoostNet:

        velocity <- momentum * velocity + gradient + decay * weight
        weight <- weight - learning_rate * velocity

    (with Nesterov's momentum, minus learning_rate * (gradient + decay * weight
    + momentum * velocity)). `keras.optimizers.SGD` subtracts
    `learning_rate * decay * weight` beside the momentum, which at 0.9 is a
    tenth of that, and keeps the learning rate inside the velocity. It also
    takes twice as many operations for each variable, which for hundreds of
    small ones is seconds before the first step.

    With an `average_decay` it also keeps an average of the weights, `averages`.

    Args:
        learning_rate: A float or a `LearningRateSchedule`.
        momentum: At least 0 and below 1.
        coupled_decay: Factor of the L2 decay, not negative.
        nesterov: Whether the step looks ahead along the velocity.
        decay_vectors: Whether every trainable variable decays, as in the
            reference code; or else only those with more than one axis:
            kernels, but neither biases nor the weights of normalizations.
        average_decay: At least 0 and below 1, as `WeightAverage` has it; 0
            keeps no average.

    Raises:
        ValueError: If a number is out of its range.
    """

    def __init__(
        self,
        learning_rate=0.1,
        momentum: float = 0.9,
        coupled_decay: float = 1e-4,
        nesterov: bool = False,
        decay_vectors: bool = True,
        average_decay: float = 0.0,
        name: str = "coupled_sgd",
        **kwargs,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        if not 0 <= momentum < 1:
            raise ValueError(
                "`momentum` must be at least 0 and below 1. "
                f"Received: momentum={momentum}"
            )
        if coupled_decay < 0:
            raise ValueError(
                "`coupled_decay` must not be negative. "
                f"Received: coupled_decay={coupled_decay}"
            )
        self.momentum = momentum
        self.coupled_decay = coupled_decay
        self.nesterov = nesterov
        self.decay_vectors = decay_vectors
        self.set_average_decay(average_decay)

    def build(self, variables):
        """Makes a velocity for each variable, and an average if one is kept."""
        if self.built:
            return
        super().build(variables)
        self.velocities = self.add_optimizer_variables(variables, "velocity")
        self.build_averages(variables)

    def update_step(self, gradient, variable, learning_rate):
        """Makes one step for one variable."""
        velocity = self.velocities[self._get_variable_index(variable)]
        weight = keras.ops.convert_to_tensor(variable)
        gradient = keras.ops.cast(gradient, weight.dtype)
        rate = keras.ops.cast(learning_rate, weight.dtype)
        if self.decay_vectors or len(variable.shape) > 1:
            gradient = gradient + self.coupled_decay * weight
        change = self.momentum * velocity.value + gradient
        self.assign(velocity, change)
        if self.nesterov:
            change = gradient + self.momentum * change
        self.assign_sub(variable, rate * change)
        self.follow(variable)

    def get_config(self):
        """Returns the optimizer's arguments."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "coupled_decay": self.coupled_decay,
            "nesterov": self.nesterov,
            "decay_vectors": self.decay_vectors,
            "average_decay": self.average_decay,
        }
