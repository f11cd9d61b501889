"""Trains one model in several processes, each on its part of every batch.

JAX makes of their parts one array, and of the processes one computation, so
that sums over the batch, among them the statistics of batch normalisation, are
those of the whole batch. Every process holds all weights.
"""

import atexit
import os
import sys

import keras
import numpy as np
from keras.distribution import DataParallel, TensorLayout

from pipeline.processes import group
from pipeline.processes.group import Member


def join(batch_size: int) -> Member:
    """Joins the other processes, if there are any; before any computation.

    Models that are built from then on are shared by all of them.

    Args:
        batch_size: Images in a batch of all processes together.

    Raises:
        ValueError: The processes cannot train together.
    """
    member = group.member()
    if member.count == 1:
        return member
    group.check(
        member.count,
        batch_size=batch_size,
        backend=keras.backend.backend(),
    )
    keras.distribution.initialize()
    atexit.register(_abandon)
    devices = keras.distribution.list_devices()
    if batch_size % len(devices):
        raise ValueError(
            f"`train.batch_size` must be a multiple of the {len(devices)} "
            "devices of all processes. "
            f"Received: batch_size={batch_size}"
        )
    keras.distribution.set_distribution(
        DataParallel(devices=devices, auto_shard_dataset=False)
    )
    return member


def leave() -> None:
    """Ends the training together; models built from now on are one's own."""
    if keras.distribution.distribution() is not None:
        keras.distribution.set_distribution(None)
        atexit.unregister(_abandon)


def gathered(outputs: list) -> list:
    """Adds layers that give every process the outputs of the whole batch.

    Args:
        outputs: Outputs of a functional model, each [batch, classes].
    """
    if keras.distribution.distribution() is None:
        return list(outputs)
    return [_Gathered()(each) for each in outputs]


def check_equal(name: str, fingerprint: str) -> None:
    """Checks that all processes have the same value, by its hash.

    Processes that differ would wait for each other for ever.

    Args:
        name: Name of the argument.
        fingerprint: Hash of it, from `pipeline.storage.fingerprint`.

    Raises:
        ValueError: They differ.
    """
    if keras.distribution.distribution() is None:
        return
    from jax.experimental import multihost_utils

    digest = np.frombuffer(bytes.fromhex(fingerprint), np.uint8)
    if np.ptp(multihost_utils.process_allgather(digest), axis=0).any():
        raise ValueError(
            f"`{name}` must be the same for all processes: shared by them, "
            "with the same configuration, data and checkpoint. "
            f"Received: {fingerprint} here, another one elsewhere"
        )


def _abandon() -> None:
    """Ends this process at once where JAX would wait for the others first.

    They may never come: nobody told them of the error that ends this one.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


class _Gathered(keras.layers.Layer):
    def call(self, inputs):
        mesh = keras.distribution.distribution().device_mesh
        layout = TensorLayout([None] * len(inputs.shape), mesh)
        return keras.distribution.distribute_tensor(inputs, layout)
