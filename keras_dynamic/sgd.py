"""SGD whose weight decay goes through the momentum, as in the papers."""

import keras


@keras.saving.register_keras_serializable(package="keras_dynamic")
class CoupledSGD(keras.optimizers.SGD):
    """SGD with momentum and L2 decay added to the gradient.

    The reference code of RANet, MSDNet and BoostNet decays weights by adding
    `decay * weight` to the gradient, before the momentum. Keras subtracts
    `learning_rate * decay * weight` beside it, which at momentum 0.9 is a
    tenth of that. (Keras keeps the learning rate inside the momentum, that code
    outside: the two part for some ten steps after the rate changes.)

    Args:
        learning_rate: A float or a `LearningRateSchedule`.
        momentum: Between 0 and 1.
        coupled_decay: The decay, on every trainable variable.
    """

    def __init__(
        self,
        learning_rate=0.1,
        momentum=0.9,
        coupled_decay: float = 1e-4,
        name: str = "coupled_sgd",
        **kwargs,
    ):
        super().__init__(
            learning_rate=learning_rate, momentum=momentum, name=name, **kwargs
        )
        if coupled_decay < 0:
            raise ValueError(
                "`coupled_decay` must not be negative. "
                f"Received: coupled_decay={coupled_decay}"
            )
        self.coupled_decay = coupled_decay

    def update_step(self, gradient, variable, learning_rate):
        """One step for one variable."""
        decay = keras.ops.cast(self.coupled_decay, gradient.dtype)
        weight = keras.ops.cast(variable, gradient.dtype)
        super().update_step(gradient + decay * weight, variable, learning_rate)

    def get_config(self):
        """The optimizer's arguments."""
        return {**super().get_config(), "coupled_decay": self.coupled_decay}
