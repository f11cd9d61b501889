"""Computes the Kullback-Leibler divergence of logits from a teacher's."""

import math

import keras


def divergence(taught, logits, temperature: float):
    """Returns the mean KL(softmax(taught / T) || softmax(logits / T)).

    The mean is over the batch. The sum over the classes is not divided by their
    number. No gradient goes to the teacher. Hinton et al. (arXiv 1503.02531,
    section 2) multiply this by T squared, so that the gradient keeps its size;
    that is up to the caller.

    Args:
        taught: Logits [batch, classes] of the teacher.
        logits: Logits [batch, classes], of any float dtype.
        temperature: The temperature T.

    Returns:
        A float32 scalar.
    """
    taught = keras.ops.stop_gradient(keras.ops.cast(taught, "float32"))
    theirs = keras.ops.log_softmax(taught / temperature)
    ours = keras.ops.log_softmax(
        keras.ops.cast(logits, "float32") / temperature
    )
    return keras.ops.mean(
        keras.ops.sum(keras.ops.exp(theirs) * (theirs - ours), axis=-1)
    )


def check_distillation(share: str, value: float, temperature: float) -> None:
    """Checks the share and the temperature of a teacher's part in a loss.

    Args:
        share: Name of the argument that gives the teacher's share.
        value: The teacher's share.
        temperature: The temperature T.

    Raises:
        ValueError: Unless the share is in [0, 1] and T finite and positive.
    """
    if not 0 <= value <= 1:
        raise ValueError(
            f"`{share}` must be a share, from 0 to 1. "
            f"Received: {share}={value!r}"
        )
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(
            "`temperature` must be a finite positive number. "
            f"Received: temperature={temperature!r}"
        )
