"""Cross-entropy of logits, the loss of one exit."""

import keras


def cross_entropy(labels, logits):
    """Mean cross-entropy over the batch.

    Args:
        labels: Integers [batch].
        logits: [batch, classes], of any float dtype.

    Returns:
        A float32 scalar.
    """
    return keras.ops.mean(
        keras.losses.sparse_categorical_crossentropy(
            labels, keras.ops.cast(logits, "float32"), from_logits=True
        )
    )
