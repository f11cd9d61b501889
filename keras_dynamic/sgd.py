"""SGD whose weight decay goes through the momentum, as in the papers."""

import keras


@keras.saving.register_keras_serializable(package="keras_dynamic")
class CoupledSGD(keras.optimizers.Optimizer):
    """SGD with momentum and L2 decay added to the gradient.

    As the reference code of RANet, MSDNet and BoostNet has it:

        velocity <- momentum * velocity + gradient + decay * weight
        weight <- weight - learning_rate * velocity

    (with Nesterov's momentum, minus learning_rate * (gradient + decay * weight
    + momentum * velocity)). `keras.optimizers.SGD` subtracts
    `learning_rate * decay * weight` beside the momentum, which at 0.9 is a
    tenth of that, and keeps the learning rate inside the velocity. It also
    takes twice as many operations for each variable, which for hundreds of
    small ones is seconds before the first step.

    Args:
        learning_rate: A float or a `LearningRateSchedule`.
        momentum: At least 0 and below 1.
        coupled_decay: The decay, on every trainable variable.
        nesterov: Whether the step looks ahead along the velocity.

    Raises:
        ValueError: If a number is out of its range.
    """

    def __init__(
        self,
        learning_rate=0.1,
        momentum: float = 0.9,
        coupled_decay: float = 1e-4,
        nesterov: bool = False,
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

    def build(self, variables):
        """Makes a velocity for each variable."""
        if self.built:
            return
        super().build(variables)
        self.velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient, variable, learning_rate):
        """One step for one variable."""
        velocity = self.velocities[self._get_variable_index(variable)]
        weight = keras.ops.convert_to_tensor(variable)
        gradient = keras.ops.cast(gradient, weight.dtype)
        rate = keras.ops.cast(learning_rate, weight.dtype)
        gradient = gradient + self.coupled_decay * weight
        change = self.momentum * velocity.value + gradient
        self.assign(velocity, change)
        if self.nesterov:
            change = gradient + self.momentum * change
        self.assign_sub(variable, rate * change)

    def get_config(self):
        """The optimizer's arguments."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "coupled_decay": self.coupled_decay,
            "nesterov": self.nesterov,
        }
