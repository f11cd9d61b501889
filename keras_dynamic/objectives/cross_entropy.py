"""Computes the cross-entropy of logits, the loss of one exit."""

import keras


def cross_entropy(labels, logits):
    """Returns the mean cross-entropy over the batch.

    Args:
        labels: Integers [batch], or probabilities [batch, classes].
        logits: Logits [batch, classes], of any float dtype.

    Returns:
        A float32 scalar.
    """
    if len(labels.shape) > 1:
        function = keras.losses.categorical_crossentropy
    else:
        function = keras.losses.sparse_categorical_crossentropy
    return keras.ops.mean(
        function(labels, keras.ops.cast(logits, "float32"), from_logits=True)
    )
