"""Training a multi-exit model on one objective, with Keras's own `fit`."""

import keras

from keras_dynamic.objectives import Objective


def deployed(model: keras.Model, exits: int) -> keras.Model:
    """The exits alone, of a model that an objective has extended.

    Args:
        model: That of an `Extended`.
        exits: How many exits there are.

    Returns:
        A model of the same layers, and so weights.
    """
    return keras.Model(model.input, model.outputs[:exits], name=model.name)


class MultiExitTrainer(keras.Model):
    """Wraps a multi-exit model so that `fit` minimises one objective.

    Args:
        model: Functional model with one output of logits per exit.
        objective: From `keras_dynamic.objectives`.

    Attributes:
        extended: What the objective makes of the given model.
        model: The model of that. It shares its weights with this; what one
            saves is `deployed` of it.
        exits: How many exits there are.

    Raises:
        ValueError: If the objective does not fit the model.
    """

    def __init__(self, model: keras.Model, objective: Objective, **kwargs):
        super().__init__(**kwargs)
        self.objective = objective
        self.extended = objective.extend(model)
        self.exits = len(model.outputs)
        # Among the layers, so that their weights are state on JAX as well.
        self.model = self.extended.model
        self.teacher = objective.teacher
        self.accuracies = [
            keras.metrics.SparseCategoricalAccuracy(name=f"accuracy_{k}")
            for k in range(self.exits)
        ]

    def call(self, inputs, training=None):
        """Logits of every exit, and what else the objective looks at."""
        outputs = self.model(inputs, training=training)
        return list(outputs) if isinstance(outputs, list | tuple) else [outputs]

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """The objective, plus whatever losses the layers add."""
        loss = self.extended.loss(y, y_pred, self.objective.taught(x))
        for extra in self.losses:
            loss = loss + extra
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Updates the accuracies with this batch."""
        exits = y_pred[: self.exits]
        for accuracy, logits in zip(self.accuracies, exits, strict=True):
            accuracy.update_state(y, logits)
        return self.get_metrics_result()
