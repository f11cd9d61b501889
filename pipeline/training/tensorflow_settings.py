"""Sets TensorFlow up to train the same again to the bit, and to begin soon."""

import os

import tensorflow as tf
from absl import logging

_VARIABLES = ("TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS")


def apply(core_per_operation_up_to: int = 0) -> None:
    """Sets TensorFlow up for a training in this process.

    Args:
        core_per_operation_up_to: With at most so many cores, each operation
            runs on one of them, and as many at once as there are cores;
            otherwise TensorFlow spreads each over all. The settings of its
            environment variables go before, and so do those of a process
            that already runs it.
    """
    # A run that was killed ends with the weights it would have had anyway.
    tf.config.experimental.enable_op_determinism()
    cores = os.cpu_count()
    if cores <= core_per_operation_up_to and not any(
        map(os.environ.get, _VARIABLES)
    ):
        try:
            tf.config.threading.set_inter_op_parallelism_threads(cores)
            tf.config.threading.set_intra_op_parallelism_threads(1)
        except RuntimeError as error:
            logging.debug("Threads stay as they are: %s", error)
    if not tf.config.list_physical_devices("GPU"):
        # Grappler's rewriting of a step of 30,000 operations takes longer than
        # tracing it, and on a CPU the step is no faster afterwards.
        tf.config.optimizer.set_experimental_options(
            {"disable_meta_optimizer": True}
        )
