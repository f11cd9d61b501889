"""Scores how much a router prefers one of two options to the other."""

import math

import keras


@keras.saving.register_keras_serializable(package="keras_dynamic")
class Preference(keras.layers.Layer):
    """Subtracts one logit of a router from another: a score for a gate.

        score = (logit of `option` - logit of `other`) / temperature + 1/2

    Two of them with `option` and `other` exchanged sum to 1 whatever the
    router says, so that of two gates behind them one is open, and both only
    where the logits are closer than half the temperature. Clamped by
    `keras_dynamic.layers.Gate` they are the relaxation of a hard choice that
    goes straight in its middle, as a softmax of Gumbel's (Jang et al., ICLR
    2017, arXiv 1611.01144) is curved; the noise of training is the gate's.

    On a device it is a dense layer of fixed numbers, whose int8 results are
    mirror images, too: both have the kernel of the same two numbers.

    Args:
        option: Index of the logit that speaks for it.
        other: Index of the logit that speaks against it.
        temperature: Difference of the logits from surely no to surely yes.

    Input: [batch, logits]. Output: [batch, 1], in the layer's dtype.

    Raises:
        ValueError: If an argument is not as said.
    """

    def __init__(
        self, option: int, other: int, temperature: float = 0.5, **kwargs
    ):
        super().__init__(**kwargs)
        for name, index in (("option", option), ("other", other)):
            if not isinstance(index, int) or index < 0:
                raise ValueError(
                    f"`{name}` must be an index of a logit, from 0. "
                    f"Received: {name}={index!r}"
                )
        if option == other:
            raise ValueError(
                "`option` and `other` must be different logits. "
                f"Received: {option} and {other}"
            )
        if not (math.isfinite(temperature) and temperature > 0):
            raise ValueError(
                "`temperature` must be a finite positive number. "
                f"Received: temperature={temperature!r}"
            )
        self.option = option
        self.other = other
        self.temperature = temperature

    def call(self, inputs):
        """Returns the scores."""
        ours = inputs[:, self.option : self.option + 1]
        theirs = inputs[:, self.other : self.other + 1]
        return (ours - theirs) / self.temperature + 0.5

    def plain(self, logits: int):
        """Returns kernel and bias of a dense layer with equal outputs.

        Args:
            logits: How many the router has.

        Returns:
            Arrays [logits, 1] and [1].
        """
        column = [0.0] * logits
        column[self.option] = 1 / self.temperature
        column[self.other] = -1 / self.temperature
        return keras.ops.array([[each] for each in column]), keras.ops.array(
            [0.5]
        )

    def compute_output_shape(self, input_shape):
        """Returns the shape of the scores."""
        return (input_shape[0], 1)

    def get_config(self):
        """Returns the layer's arguments."""
        return {
            **super().get_config(),
            "option": self.option,
            "other": self.other,
            "temperature": self.temperature,
        }
