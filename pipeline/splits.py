"""The four splits, and the hash that sends each image to one of them."""

import hashlib
from collections.abc import Mapping

SPLITS = ("train", "validation", "calibration", "test")

HASH_BITS = 63  # Beam codes integers as signed 64-bit.


def hash63(key: str, purpose: str) -> int:
    """Hashes a key to an integer in [0, 2**63), differently per purpose."""
    digest = hashlib.blake2b(
        key.encode(), digest_size=8, key=purpose.encode()
    ).digest()
    return int.from_bytes(digest, "big") >> (64 - HASH_BITS)


def assign(key: str, fractions: Mapping[str, float], seed: int) -> str:
    """Returns the split of an image, a function of its key alone.

    The key's hash is a point in [0, 1): the fractions of validation,
    calibration and test lie there one after the other, and train is the rest.
    So adding images moves none, and shares are met on average only.
    """
    point = hash63(key, f"split-{seed}") / 2**HASH_BITS
    edge = 0.0
    for split in SPLITS[1:]:
        edge += fractions.get(split, 0.0)
        if point < edge:
            return split
    return "train"
