"""Test images that show what leaves at each exit."""

import base64
import dataclasses
import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from keras_dynamic import exits
from pipeline.dataset import Images
from pipeline.predictions import Predictions

# What all images may take in the page, in bytes of base64.
_BUDGET = 900_000
# Width on the page that an image is enlarged to, about, in CSS pixels.
_SHOWN = 80


@dataclasses.dataclass(frozen=True)
class Sample:
    """One image and what its exit said of it.

    Attributes:
        key: Its name in the data set.
        label: The true class.
        predicted: The class of the largest probability.
        confidence: That probability, at the exit's temperature.
        image: A PNG, as a data URI.
        width: Pixels on the page, a multiple of the PNG's own.
    """

    key: str
    label: str
    predicted: str
    confidence: float
    image: str
    width: int


def by_exit(
    images: Images,
    predictions: Predictions,
    policy: exits.Policy,
    classes: Sequence[str],
    *,
    per_exit: int = 12,
) -> list[list[Sample]]:
    """Picks images of every exit among those that the policy stops there.

    The most confident ones; at the last exit, where nothing else is left to
    try, the least confident ones. Fewer if no more stopped there.

    Args:
        images: N images, uint8 [N, H, W, C] with C 1 or 3.
        predictions: Their logits [K, N, classes].
        policy: Of K exits.
        classes: Names.
        per_exit: How many images at most.
    """
    taken = policy.route(predictions.logits)
    side = int(math.sqrt(_BUDGET / (4 * policy.exits * per_exit)))
    found = []
    for k, logits in enumerate(predictions.logits):
        probabilities = exits.softmax(logits, policy.temperatures[k])
        confidence = probabilities.max(axis=-1)
        here = np.flatnonzero(taken == k)
        last = k == policy.exits - 1
        order = confidence[here] if last else -confidence[here]
        chosen = here[np.argsort(order, kind="stable")][:per_exit]
        row = []
        for i in chosen:
            picture = _picture(images.images[i], side)
            row.append(
                Sample(
                    key=images.keys[i],
                    label=classes[images.labels[i]],
                    predicted=classes[logits[i].argmax()],
                    confidence=float(confidence[i]),
                    image=_data_uri(picture),
                    width=picture.width * max(1, _SHOWN // picture.width),
                )
            )
        found.append(row)
    return found


def _picture(pixels: np.ndarray, side: int) -> Image.Image:
    """Makes a picture of at most `side` x `side` pixels."""
    grey = pixels.shape[-1] == 1
    picture = Image.fromarray(pixels.squeeze(-1) if grey else pixels)
    picture.thumbnail((side, side))
    return picture


def _data_uri(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
