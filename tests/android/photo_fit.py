"""Compares PhotoFit.kt, on a JVM, with `photograph.pixels_for`.

    python tests/android/photo_fit.py CLASSPATH

`make check-android` does it, with the classes that it compiled.
"""

import dataclasses
import io
import json
import struct
import subprocess
import sys

import numpy as np
from PIL import Image

from pipeline.data import photograph
from tflite import bundle

COUNT = 400
# One in so many photographs has up to so many pixels a side, the others less.
LARGE_EVERY, LARGE_SIDE, USUAL_SIDE = 20, 2000, 80


def picture(rng: np.random.Generator, number: int) -> np.ndarray:
    """Makes up an image: noise, something smooth, or black and white."""
    largest = USUAL_SIDE if number % LARGE_EVERY else LARGE_SIDE
    height, width = map(int, rng.integers(1, largest, 2))
    if number % 3 == 0:
        return rng.integers(0, 256, (height, width, 3), np.uint8)
    if number % 3 == 1:
        few = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
        return np.asarray(few.resize((width, height)))
    dots = rng.integers(0, 2, (height, width, 1), np.uint8)
    return np.repeat(255 * dots, 3, axis=2)


def facts_of(rng: np.random.Generator) -> bundle.InputFacts:
    """Draws what the input of a bundle may be."""
    height, width = map(int, rng.integers(1, 60, 2))
    stored = max(height, width) + int(rng.integers(0, 20))
    shape = (height, width, int(rng.choice([1, 3])))
    return bundle.InputFacts(shape, fit=bundle.FitFacts(stored))


def given(pixels, orientation, facts) -> bytes:
    """Returns a photograph as FitPhotos.kt reads it."""
    text = json.dumps(dataclasses.asdict(facts)).encode()
    argb = np.insert(pixels, 0, 255, axis=2)
    height, width, _ = pixels.shape
    head = struct.pack(">iii", orientation, width, height * width)
    return struct.pack(">H", len(text)) + text + head + argb.tobytes()


def expected(pixels, orientation, facts) -> bytes:
    """Returns what the Python function makes of the photograph as a file."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", exif=exif, compress_level=1)
    return photograph.pixels_for(file.getvalue(), facts).tobytes()


def main() -> None:
    """Fails if a byte differs."""
    rng = np.random.default_rng(0)
    photos = [
        (picture(rng, number), 1 + number % 8, facts_of(rng))
        for number in range(COUNT)
    ]
    parts = [given(*each) for each in photos]
    done = subprocess.run(
        ["java", "-cp", sys.argv[1], "FitPhotosKt"],
        input=struct.pack(">i", COUNT) + b"".join(parts),
        stdout=subprocess.PIPE,
        check=True,
    )
    wanted = b"".join(expected(*each) for each in photos)
    if done.stdout != wanted:
        sys.exit("android: error: PhotoFit.kt gives other pixels than Python")
    print(
        f"android: PhotoFit.kt gives Python's pixels: {COUNT} photographs, "
        f"{len(wanted)} bytes"
    )


if __name__ == "__main__":
    main()
