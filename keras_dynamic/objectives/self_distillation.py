"""Lets the last exit teach the others (Be Your Own Teacher).

Zhang et al., "Be Your Own Teacher: Improve the Performance of Convolutional
Neural Networks via Self Distillation", ICCV 2019, arXiv 1905.08094.
"""

import keras

from keras_dynamic.objectives.cross_entropy import cross_entropy
from keras_dynamic.objectives.divergence import check_distillation, divergence
from keras_dynamic.objectives.objective import Extended, Objective


def self_distillation(
    alpha: float = 0.1, temperature: float = 3.0
) -> Objective:
    """Makes an objective by which the last exit teaches the others.

        (1 - alpha) * sum over all exits of CE
            + alpha * T^2 * sum over the earlier exits of KL(last || exit)

    with T the temperature and no gradient to the last exit from the KL, which
    is a mean over the batch and a sum over the classes.

    The paper has a third term, the distance between the features before the
    classifiers. It is left out: it needs them in one shape, and our
    classifiers have other widths than the end of the trunk.

    Args:
        alpha: Share of the last exit's teaching, from 0 to 1.
        temperature: The temperature T. The paper gives neither number; both
            defaults are those of a third party's code
            (luanyunteng/pytorch-be-your-own-teacher).

    Raises:
        ValueError: If `alpha` or `temperature` is out of range.
    """
    check_distillation("alpha", alpha, temperature)

    def loss(labels, outputs, taught=None):
        learned = sum(cross_entropy(labels, logits) for logits in outputs)
        distilled = sum(
            divergence(outputs[-1], logits, temperature)
            for logits in outputs[:-1]
        )
        return (1 - alpha) * learned + alpha * temperature**2 * distilled

    def extend(model: keras.Model) -> Extended:
        return Extended(model, loss)

    return Objective(extend)
