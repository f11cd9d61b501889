"""Training a multi-exit model on one objective, with Keras's own `fit`."""

from collections.abc import Callable

import keras


class MultiExitTrainer(keras.Model):
    """Wraps a multi-exit model so that `fit` minimises one objective.

    The wrapped functional model stays as it is, shares its weights, and is
    what one saves.

    Args:
        model: Functional model with one output of logits per exit.
        objective: Function of labels [batch] and the list of logits
            [batch, classes] that gives the scalar loss.
    """

    def __init__(self, model: keras.Model, objective: Callable, **kwargs):
        super().__init__(**kwargs)
        self.model = model
        self.objective = objective
        self.accuracies = [
            keras.metrics.SparseCategoricalAccuracy(name=f"accuracy_{k}")
            for k in range(len(model.outputs))
        ]

    def call(self, inputs, training=None):
        """Logits of every exit."""
        outputs = self.model(inputs, training=training)
        return list(outputs) if isinstance(outputs, list | tuple) else [outputs]

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """The objective, plus whatever losses the layers add."""
        loss = self.objective(y, y_pred)
        for extra in self.losses:
            loss = loss + extra
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Updates the accuracies with this batch."""
        for accuracy, logits in zip(self.accuracies, y_pred, strict=True):
            accuracy.update_state(y, logits)
        return self.get_metrics_result()
