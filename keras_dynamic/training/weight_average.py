"""Lets an optimizer keep an average of the weights."""

import keras


class WeightAverage:
    """Keeps an average of the weights, for an optimizer that derives from it.

    On the way it moves as

        average <- decay_t * average + (1 - decay_t) * weight

    after step t, from 0, with decay_t = min(average_decay, t / (t + 10)): at
    first it is the weights themselves, and then forgets the early ones sooner.
    Steps never read it.

    Attributes:
        average_decay: At least 0 and below 1; 0 keeps no average.
        averages: The averages of the variables, in their order, once built.
    """

    average_decay: float
    averages: list

    def set_average_decay(self, average_decay: float) -> None:
        """Says how slowly the average moves; before the optimizer is built.

        Raises:
            ValueError: If it is out of its range.
        """
        if not 0 <= average_decay < 1:
            raise ValueError(
                "`average_decay` must be at least 0 and below 1. "
                f"Received: average_decay={average_decay}"
            )
        self.average_decay = average_decay

    def build_averages(self, variables: list) -> None:
        """Makes an average for each variable, if one is kept."""
        self.averages = []
        if self.average_decay:
            self.averages = self.add_optimizer_variables(variables, "average")

    def follow(self, variable) -> None:
        """Moves the average of a variable towards it, as it is after a step."""
        if not self.average_decay:
            return
        average = self.averages[self._get_variable_index(variable)]
        weight = keras.ops.convert_to_tensor(variable)
        step = keras.ops.cast(self.iterations, weight.dtype)
        share = keras.ops.maximum(1 - self.average_decay, 10 / (step + 10))
        old = average.value
        self.assign(average, old + share * (weight - old))
