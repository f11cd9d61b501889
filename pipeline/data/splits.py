"""Names the four splits, and sends each image to one of them by a hash."""

import functools
import hashlib
from collections.abc import Mapping

import numpy as np

SPLITS = ("train", "validation", "calibration", "test")

HASH_BITS = 63  # Beam codes integers as signed 64-bit.


def identity(content: bytes | np.ndarray) -> bytes:
    """Returns a hash that exact duplicates have in common.

    Args:
        content: An encoded file, or pixels; a file and its pixels differ.

    Returns:
        SHA-256, 32 bytes.
    """
    if isinstance(content, bytes):
        return hashlib.sha256(content).digest()
    digest = hashlib.sha256(repr(content.shape).encode())
    digest.update(np.ascontiguousarray(content))
    return digest.digest()


def hash63(image: bytes, purpose: str) -> int:
    """Hashes an identity to an integer in [0, 2**63), another per purpose.

    An identity is a hash already, so its first 64 bits are only multiplied by
    an odd number, modulo 2**64 (Dietzfelbinger et al., "A Reliable Randomized
    Algorithm for the Closest-Pair Problem", 1997, section 2); their upper 63
    are kept.
    """
    product = int.from_bytes(image[:8]) * _factor(purpose)
    return (product & 0xFFFFFFFFFFFFFFFF) >> (64 - HASH_BITS)


def assign(image: bytes, fractions: Mapping[str, float], seed: int) -> str:
    """Returns the split of an image, a function of its content alone.

    The hash of its identity is a point in [0, 1): the fractions of validation,
    calibration and test lie there one after the other, and train is the rest.
    So adding images moves none, copies of an image fall into one split, and
    shares are met on average only.

    Args:
        image: Its `identity`.
        fractions: Shares of the splits.
        seed: Seed of the splits; another one gives other splits.
    """
    point = hash63(image, f"split-{seed}") / 2**HASH_BITS
    edge = 0.0
    for split in SPLITS[1:]:
        edge += fractions.get(split, 0.0)
        if point < edge:
            return split
    return "train"


@functools.cache
def _factor(purpose: str) -> int:
    digest = hashlib.blake2b(purpose.encode(), digest_size=8).digest()
    return int.from_bytes(digest) | 1
