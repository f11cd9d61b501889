"""Defines an objective, and a model as an objective extends it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras


@dataclasses.dataclass(frozen=True)
class Extended:
    """Holds a model as an objective extends it, and the loss that goes with it.

    Attributes:
        model: The model that is trained: the given one, with other weights, or
            with more layers. Its first outputs are as many exits, again
            logits, and are what is deployed. Those beyond are seen by the loss
            only; they are tensors on the way to the exits, so that cutting
            them off loses no layer.
        loss: Function of `labels` (integers [batch]), `outputs` (the list that
            `model` gives in training) and `taught` (the teacher's logits
            [batch, classes], None without one) that returns a float32 scalar.
            Written with `keras.ops`.
    """

    model: keras.Model
    loss: Callable[..., Any]


@dataclasses.dataclass(frozen=True)
class Objective:
    """Tells how the exits of a model are trained together.

    It keeps nothing of the models that it extends.

    Attributes:
        extend: Function from a functional model with one output of logits
            [batch, classes] per exit to the model that is trained and its loss.
            Raises ValueError where the objective does not fit the model.
        teacher: A model that teaches with the logits of its last output.
        labels: Whether the loss looks at labels; one that does not takes images
            without true ones.
    """

    extend: Callable[[keras.Model], Extended]
    teacher: keras.Model | None = None
    labels: bool = True

    def taught(self, images):
        """Returns the teacher's logits [batch, classes] of `images`, or None.

        They carry no gradient. Without a teacher there are none.
        """
        if self.teacher is None:
            return None
        outputs = self.teacher(images, training=False)
        last = outputs[-1] if isinstance(outputs, list | tuple) else outputs
        return keras.ops.stop_gradient(last)
