"""Trains a multi-exit model on one objective, with Keras's own `fit`."""

from typing import Any

import keras

from keras_dynamic import objectives
from keras_dynamic.graph import prefix
from keras_dynamic.objectives import Objective
from keras_dynamic.training import freezing

# The objective is the loss, and the metrics are every exit's accuracy.
_OURS = ("loss", "loss_weights", "metrics", "weighted_metrics")


def deployed(model: keras.Model, exits: int) -> keras.Model:
    """Cuts a model that an objective has extended down to its exits.

    Args:
        model: The model of an `Extended`.
        exits: How many exits there are.

    Returns:
        A model of the same layers, and so weights.
    """
    return keras.Model(model.input, model.outputs[:exits], name=model.name)


class Trainer(keras.Model):
    """Wraps a multi-exit model so that `fit` minimises one objective.

    `fit`, `evaluate` and their callbacks are those of Keras. Images are what
    the model takes, labels integers [batch]. The metrics are the objective's
    value, "loss", and "accuracy_k" of each exit.

    Args:
        model: Functional model with one output of logits [batch, classes] per
            exit, shallow to deep.
        objective: An objective from `keras_dynamic.objectives`, or the name of
            one that needs no arguments.
        optimizer: An optimizer or its name, as `keras.Model.compile` takes it.
        jit_compile: Whether `keras.Model.compile` is to compile the steps. None
            compiles on JAX alone, which knows no other way: hundreds of small
            layers take XLA minutes, and gain nothing on a CPU.
        freeze: Words for the layers of the extended model that are not
            trained, as `freezing.chosen` reads them; "" for none. What the
            model begins with and is frozen runs as in inference: statistics
            stay, and nothing is dropped.
        **settings: Further arguments of `keras.Model.compile`, but no losses
            and no metrics.

    Attributes:
        extended: The model and loss that the objective makes of the given
            model.
        model: The extended model. It shares its weights with the trainer; what
            one saves is `deployed()`.
        exits: How many exits there are.
        split: The parts of the extended model before and behind the end of
            its frozen beginning, or None. The list of the features that the
            rest reads is taken instead of images, too.

    Raises:
        ValueError: If the objective does not fit the model, there is none of
            that name, `freeze` names no layer or leaves none to train, or
            `settings` has a loss or a metric; by `fit` and `evaluate`, if
            labels are no integers [batch], or are weighted.
    """

    def __init__(
        self,
        model: keras.Model,
        objective: Objective | str = "joint",
        *,
        optimizer: str | keras.optimizers.Optimizer = "adam",
        jit_compile: bool | None = None,
        freeze: str = "",
        **settings: Any,
    ):
        super().__init__()
        if isinstance(objective, str):
            objective = objectives.build(objective)
        if ours := [name for name in _OURS if name in settings]:
            raise ValueError(
                "`settings` must leave losses and metrics to `objective`. "
                f"Received: {', '.join(ours)}"
            )
        self.objective = objective
        self.extended = objective.extend(model)
        self.exits = len(model.outputs)
        self.split = None
        if freeze:
            frozen = freezing.chosen(self.extended.model, freeze)
            freezing.freeze(self.extended.model, frozen)
            # No layer, so that its parts' weights are not tracked again.
            self.split = prefix.split(self.extended.model)
        # Among the layers, so that their weights are state on JAX as well.
        self.model = self.extended.model
        self.teacher = objective.teacher
        self.accuracies = [
            keras.metrics.SparseCategoricalAccuracy(name=f"accuracy_{k}")
            for k in range(self.exits)
        ]
        if jit_compile is None:
            jit_compile = keras.backend.backend() == "jax"
        self.compile(optimizer=optimizer, jit_compile=jit_compile, **settings)

    def deployed(self) -> keras.Model:
        """Returns the trained exits alone, with the weights of this model."""
        return deployed(self.model, self.exits)

    def call(self, inputs, training=None):
        """Returns every exit's logits, and what else the objective reads.

        Args:
            inputs: Images; or a list of features, where there is a `split`.
            training: Whether this is a training step.
        """
        if self.split and isinstance(inputs, list | tuple):
            outputs = self.split.rest(inputs, training=training)
        elif self.split:
            outputs = self.split(inputs, training=training)
        else:
            outputs = self.model(inputs, training=training)
        return list(outputs) if isinstance(outputs, list | tuple) else [outputs]

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """Returns the objective's loss plus those that the layers add."""
        _check_labels(y, sample_weight)
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


def _check_labels(labels, weights):
    if labels is None or len(labels.shape) != 1:
        shape = None if labels is None else tuple(labels.shape)
        raise ValueError(
            "`y` must be integer labels [batch]; np.argmax(y, axis=-1) makes "
            f"them of one-hot ones. Received: shape {shape}"
        )
    if weights is not None:
        raise ValueError(
            "`sample_weight` and `class_weight` must be left out: no objective "
            f"weighs its samples. Received: {weights!r}"
        )
