"""Runs images through a bundle: BUNDLE IMAGES.npy LOGITS.npz.

Needs what a device has: numpy, a LiteRT interpreter, and the harness.
"""

import sys

import numpy as np

from tflite.runtime import harness


def main(directory: str, images: str, target: str) -> None:
    """Writes each exit's logits [N, C], as the segments give them."""
    with harness.Harness(directory) as chain:
        found = [chain.logits(image) for image in np.load(images)]
    np.savez(target, *map(np.stack, zip(*found, strict=True)))


if __name__ == "__main__":
    main(*sys.argv[1:])
