"""Lets a trained network teach the earlier exits (IMTA's one-for-all).

Li et al., "Improved Techniques for Training Adaptive Deep Networks", ICCV 2019,
arXiv 1908.06294, section 3.3, as in the authors' code.
"""

import os

import keras

from keras_dynamic.graph import functional
from keras_dynamic.objectives.cross_entropy import cross_entropy
from keras_dynamic.objectives.divergence import check_distillation, divergence
from keras_dynamic.objectives.objective import Extended, Objective
from keras_dynamic.weights import transfer
from keras_dynamic.weights.loading import trained_model


def one_for_all(
    teacher: keras.Model | str | os.PathLike,
    gamma: float = 0.1,
    temperature: float = 1.0,
    frozen_backbone: bool = False,
) -> Objective:
    """Makes an objective by which a teacher teaches the earlier exits.

        CE of the last exit + sum over the others of
            (1 - gamma) * CE + gamma * T^2 * KL(teacher || exit)

    with T the temperature. The KL here is a mean over the batch and a sum over
    the classes. The authors' code divides it by the number of classes too
    (PyTorch's default), so their gamma weighs it that much less.

    In the paper the teacher is the last exit of the network itself, trained
    before with `gradient_equilibrium`, whose backbone is then frozen. Its
    classifiers also read the one before (inline subnetwork collaboration),
    which is left out here.

    Args:
        teacher: A trained model, or the path of its .keras file; its last
            output teaches. It is frozen.
        gamma: Share of the teacher, from 0 to 1; 0.1 in the authors' scripts.
        temperature: The temperature T; 1 in the authors' scripts.
        frozen_backbone: Whether to start from the teacher's weights and train
            only the layers named `exit_...`; those that the teacher has, with
            weights of the same shapes, start from the teacher's.

    Raises:
        ValueError: If a number is out of range, or there is no such teacher;
            by `extend`, if the teacher does not fit the model.
    """
    check_distillation("gamma", gamma, temperature)
    teacher = trained_model("teacher", teacher)
    teacher.trainable = False

    def loss(labels, outputs, taught=None):
        *earlier, last = outputs
        return cross_entropy(labels, last) + sum(
            (1 - gamma) * cross_entropy(labels, logits)
            + gamma * temperature**2 * divergence(taught, logits, temperature)
            for logits in earlier
        )

    def extend(model: keras.Model) -> Extended:
        for kind in ("inputs", "outputs"):
            theirs, ours = getattr(teacher, kind)[-1], getattr(model, kind)[-1]
            if theirs.shape[1:] != ours.shape[1:]:
                raise ValueError(
                    f"`teacher` must have {kind} of the model's shape, "
                    f"{tuple(ours.shape[1:])}. "
                    f"Received: {tuple(theirs.shape[1:])}"
                )
        if frozen_backbone:
            _start_from(teacher, model)
        return Extended(model, loss)

    return Objective(extend, teacher)


def _start_from(teacher, model):
    """Copies the teacher's weights, and freezes all but the classifiers."""
    backbone, classifiers = [], []
    for layer in model.layers:
        own = functional.exit_of(layer.name) is not None
        (classifiers if own else backbone).append(layer)
    known = transfer.fitting(teacher, classifiers)
    transfer.copy_weights(teacher, backbone + known)
    for layer in backbone:
        layer.trainable = False
