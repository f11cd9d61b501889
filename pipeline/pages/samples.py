"""Picks test images that show what leaves at each exit."""

import base64
import dataclasses
import io
import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image

from keras_dynamic import exits
from pipeline.data.dataset import Images
from pipeline.results.predictions import Predictions

# How many images a page shows, at most.
_MOST = 120
# What all of them may take in the page, in bytes of base64.
_BUDGET = 450_000
# Sides of a picture, in pixels, until it fits.
_SIDES = (112, 96, 80, 64, 48, 40, 32, 24, 16)
# Classes of each exit whose probabilities are kept, besides the label's.
_TOP = 3


@dataclasses.dataclass(frozen=True)
class Sample:
    """Holds one image and the answers of each exit.

    Attributes:
        index: Place among the images, from 0.
        key: Name in the data set.
        label: The true class.
        answers: Class of the largest probability at each exit, [K].
        confidences: Largest probability at each exit, at the exit's
            temperature, [K].
        scores: Scores that the policy compares with the thresholds, [K].
        classes: The most probable classes of every exit, and the label, [M].
        probabilities: Probabilities of these classes at each exit, [K][M].
        image: A picture, as a data URI.
        side: The longer side of the picture, in pixels.
    """

    index: int
    key: str
    label: int
    answers: tuple[int, ...]
    confidences: tuple[float, ...]
    scores: tuple[float, ...]
    classes: tuple[int, ...]
    probabilities: tuple[tuple[float, ...], ...]
    image: str
    side: int

    def to_dict(self) -> dict[str, Any]:
        """Returns the values that a click on the image shows, as JSON."""
        values = dataclasses.asdict(self)
        del values["image"], values["side"]
        return values


def choose(
    images: Images, said: Predictions, policy: exits.Policy
) -> list[Sample]:
    """Picks images that stop early and late, right and wrong ones.

    It takes some that stop at each exit under the policy, and some that stop
    there if all exits have equal shares: the surest, mistakes, and the least
    sure, in turn.

    Args:
        images: N images, uint8 [N, H, W, C] with C 1 or 3.
        said: Logits of the images, [K, N, classes].
        policy: A policy of K exits.

    Returns:
        At most 120, in the order of the images.
    """
    scores = policy.scores(said.logits)
    routings = [policy.stops(scores)]
    if policy.exits > 1:
        routings.append(_equal_shares(policy, scores))
    probabilities = np.stack(
        [
            exits.softmax(logits, temperature)
            for logits, temperature in zip(
                said.logits, policy.temperatures, strict=True
            )
        ]
    )
    right = exits.correct(said.logits, said.labels, policy.exits)
    each = _MOST // (policy.exits * len(routings))
    chosen = set()
    for taken in routings:
        for k in range(policy.exits):
            here = np.flatnonzero(taken == k)
            sure = probabilities[k, here].max(axis=-1)
            chosen.update(_mixed(here, sure, right[k, here], each))
    return [
        _sample(i, images, said, scores, probabilities, len(chosen))
        for i in sorted(chosen)
    ]


def by_exit(
    samples: Iterable[Sample], taken: np.ndarray, exits: int
) -> list[list[Sample]]:
    """Sorts images by exit, the surest first, mistakes last.

    Args:
        samples: Images.
        taken: The exit at which each of the N images stops, [N].
        exits: Number of exits, K.
    """
    rows = [[] for _ in range(exits)]
    for sample in samples:
        rows[taken[sample.index]].append(sample)
    for k, row in enumerate(rows):
        row.sort(
            key=lambda each: (
                each.answers[k] != each.label,
                -each.confidences[k],
            )
        )
    return rows


def _equal_shares(policy: exits.Policy, scores: np.ndarray) -> np.ndarray:
    shares = exits.exit_shares(1.0, policy.exits)
    bars, enabled = exits.thresholds(scores, shares)
    equal = dataclasses.replace(
        policy, thresholds=tuple(bars), enabled=tuple(enabled)
    )
    return equal.stops(scores)


def _mixed(
    here: np.ndarray, sure: np.ndarray, right: np.ndarray, most: int
) -> list[int]:
    """Takes the surest, the surest mistakes and the least sure, in turn."""
    order = np.argsort(-sure, kind="stable")
    kinds = order[right[order]], order[~right[order]], order[::-1]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*kinds))
    distinct = dict.fromkeys(i for i in turns if i is not None)
    return [int(here[i]) for i in itertools.islice(distinct, most)]


def _sample(i, images, said, scores, probabilities, count) -> Sample:
    found = probabilities[:, i]
    likely = np.argsort(-found, axis=-1, kind="stable")[:, :_TOP].ravel()
    label = int(said.labels[i])
    classes = list(dict.fromkeys([label, *likely.tolist()]))
    classes.sort(key=lambda each: -found[-1, each])
    answers = said.logits[:, i].argmax(axis=-1)
    image, side = _picture(images.images[i], _BUDGET // count)
    return Sample(
        index=i,
        key=images.keys[i],
        label=label,
        answers=tuple(answers.tolist()),
        confidences=_rounded(found.max(axis=-1)),
        scores=_rounded(scores[:, i]),
        classes=tuple(classes),
        probabilities=tuple(_rounded(row[classes]) for row in found),
        image=image,
        side=side,
    )


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    """Keeps six digits, also of the difference to 1."""
    return tuple(
        float(f"{value:.6g}") if value < 0.5 else 1 - float(f"{1 - value:.6g}")
        for value in values.tolist()
    )


def _picture(pixels: np.ndarray, most: int) -> tuple[str, int]:
    """Returns a data URI of at most `most` characters, and its longer side.

    The picture stays as it is, if that fits; else it is made smaller and
    smaller, with loss.
    """
    grey = pixels.shape[-1] == 1
    whole = Image.fromarray(pixels.squeeze(-1) if grey else pixels)
    if max(whole.size) <= _SIDES[0]:
        uri = _data_uri(whole, "PNG", optimize=True)
        if len(uri) <= most:
            return uri, max(whole.size)
    # A picture is never enlarged: of several sides that it has, one will do.
    sides = dict.fromkeys(min(side, max(whole.size)) for side in _SIDES)
    for side in sides:
        picture = whole.copy()
        picture.thumbnail((side, side))
        uri = _data_uri(picture, "WEBP", quality=80)
        if len(uri) <= most:
            break
    return uri, max(picture.size)


def _data_uri(picture: Image.Image, format: str, **options: Any) -> str:
    file = io.BytesIO()
    picture.save(file, format, **options)
    data = base64.b64encode(file.getvalue()).decode()
    return f"data:image/{format.lower()};base64,{data}"
