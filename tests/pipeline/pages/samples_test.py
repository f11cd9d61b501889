import numpy as np
import pytest

from keras_dynamic.exits import Policy, softmax
from pipeline.data import dataset
from pipeline.pages import samples
from pipeline.results import predictions


def policy_of(exits):
    return Policy(
        temperatures=(2.0,) * exits,
        thresholds=(0.9,) * (exits - 1) + (0.0,),
        enabled=(True,) * exits,
    )


def noise(count, side, channels, exits, classes=12):
    rng = np.random.default_rng(0)
    shape = (count, side, side, channels)
    images = dataset.Images(
        rng.integers(0, 256, shape, np.uint8),
        rng.integers(0, classes, count).astype(np.int32),
        tuple(map(str, range(count))),
    )
    logits = rng.normal(size=(exits, count, classes)) * 4
    logits[:, np.arange(count), images.labels] += 4.0
    return images, predictions.Predictions(images.labels, logits)


@pytest.mark.parametrize("exits", [1, 20])
def test_large_images_still_fit_into_the_page(exits):
    images, said = noise(130, 64, 3, exits)
    found = samples.choose(images, said, policy_of(exits))
    assert 40 <= len(found) <= 120
    assert sum(len(each.image) for each in found) <= 450_000
    assert len({each.index for each in found}) == len(found)


def test_surest_least_sure_and_mistakes_of_every_exit():
    images, said = noise(300, 8, 1, 3)
    policy = policy_of(3)
    taken = policy.route(said.logits)
    found = samples.choose(images, said, policy)
    indices = [each.index for each in found]
    for k in range(3):
        here = np.flatnonzero(taken == k)
        sure = softmax(said.logits[k, here], 2.0).max(-1)
        right = said.logits[k, here].argmax(-1) == images.labels[here]
        assert here[sure.argmin()] in indices
        assert here[right][sure[right].argmax()] in indices
        assert here[~right][sure[~right].argmax()] in indices


def test_what_a_sample_says():
    images, said = noise(50, 8, 3, 2)
    policy = policy_of(2)
    for each in samples.choose(images, said, policy):
        logits = said.logits[:, each.index]
        expected = softmax(logits, 2.0)
        assert each.key == images.keys[each.index]
        assert each.label == images.labels[each.index]
        assert each.label in each.classes
        assert each.answers == tuple(logits.argmax(-1))
        np.testing.assert_allclose(each.confidences, expected.max(-1), 1e-5)
        np.testing.assert_allclose(
            each.scores, policy.scores(logits[:, None])[:, 0], 1e-5
        )
        for k in range(2):
            np.testing.assert_allclose(
                each.probabilities[k], expected[k, list(each.classes)], 1e-4
            )
            # None of the others is among the three most probable.
            rest = np.delete(expected[k], each.classes)
            assert (rest <= np.sort(expected[k])[-3]).all()


def test_rows_are_sure_first_and_mistakes_last():
    images, said = noise(50, 8, 3, 2)
    policy = policy_of(2)
    taken = policy.route(said.logits)
    found = samples.choose(images, said, policy)
    rows = samples.by_exit(found, taken, 2)
    assert sum(map(len, rows)) == len(found)
    for k, row in enumerate(rows):
        assert {taken[each.index] for each in row} == {k}
        order = [
            (each.answers[k] != each.label, -each.confidences[k])
            for each in row
        ]
        assert order == sorted(order)
