"""Teaches exits the answers of a finished network, without labels.

Abedi et al., "Improving the Performance of DNN-based Software Services using
Automated Layer Caching", arXiv 2209.08625; TMLR 2024 as SelfXit.
"""

import keras

from keras_dynamic.graph import functional
from keras_dynamic.objectives.cross_entropy import cross_entropy
from keras_dynamic.objectives.divergence import check_distillation, divergence
from keras_dynamic.objectives.objective import Extended, Objective

_ANSWERS = ("soft", "hard")


def layer_caching(answer: str = "soft", temperature: float = 1.0) -> Objective:
    """Makes an objective by which earlier exits learn the last answer.

        sum over the earlier exits of T^2 * KL(last || exit)

    with T the temperature; or with `answer` "hard" the cross-entropy to the
    last exit's most probable class. Labels are not looked at, so images need
    none that are true. All that the last exit depends on is frozen: its logits
    are afterwards what they were, to the last bit.

    The authors' code divides the divergence by the number of classes as well,
    and trains one exit after another; here all are trained at once, which is
    the same where they share no layer of their own.

    Args:
        answer: "soft" for the last exit's probabilities, "hard" for its class.
        temperature: The temperature T of "soft"; 1 in the authors' code.

    Raises:
        ValueError: If an argument is not one of these; by `extend`, if the
            model has one exit only.
    """
    if answer not in _ANSWERS:
        raise ValueError(
            f"`answer` must be one of {', '.join(_ANSWERS)}. "
            f"Received: answer={answer!r}"
        )
    check_distillation("share", 1, temperature)

    def loss(labels, outputs, taught=None):
        *earlier, last = outputs
        if answer == "hard":
            classes = keras.ops.argmax(last, axis=-1)
            return sum(cross_entropy(classes, logits) for logits in earlier)
        return temperature**2 * sum(
            divergence(last, logits, temperature) for logits in earlier
        )

    def extend(model: keras.Model) -> Extended:
        if len(model.outputs) < 2:
            raise ValueError(
                "`model` must have more than one exit: the last one teaches "
                "the others. Received: a model with 1"
            )
        for node in functional.ancestors(model.outputs[-1:], set()):
            node.operation.trainable = False
        return Extended(model, loss)

    return Objective(extend, labels=False)
