"""How TensorFlow trains: the same again to the bit, and soon begun."""

import tensorflow as tf


def apply() -> None:
    """Sets TensorFlow up for a training in this process."""
    # A run that was killed ends with the weights it would have had anyway.
    tf.config.experimental.enable_op_determinism()
    if not tf.config.list_physical_devices("GPU"):
        # Grappler's rewriting of a step of 30,000 operations takes longer than
        # tracing it, and on a CPU the step is no faster afterwards.
        tf.config.optimizer.set_experimental_options(
            {"disable_meta_optimizer": True}
        )
