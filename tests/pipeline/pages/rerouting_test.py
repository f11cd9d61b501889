import base64

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from keras_dynamic.exits import Policy
from pipeline.pages import rerouting
from pipeline.results import predictions


def policy_of(thresholds, enabled=None):
    count = len(thresholds) + 1
    return Policy(
        temperatures=(1.0,) * count,
        thresholds=(*thresholds, 0.0),
        enabled=(*(enabled or (True,) * (count - 1)), True),
    )


def said(exits, images, classes, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images).astype(np.int32)
    # Few values, so that scores are equal now and then.
    logits = rng.integers(0, 4, (exits, images, classes)).astype(np.float64)
    return predictions.Predictions(labels, logits)


def unpack(packed, name, bits):
    data = base64.b64decode(packed[name])
    return np.frombuffer(data, {8: "u1", 16: "<u2"}[bits])


def stops(packed, entry):
    """What the page does: the first rank that reaches its bar."""
    ranks = unpack(packed, "ranks", 16).reshape(packed["exits"], -1)
    leaves = ranks >= np.array(entry["bars"])[:, None]
    return leaves.argmax(axis=0)


@hypothesis.given(
    scores=st.lists(
        st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]), min_size=3),
        min_size=2,
        max_size=2,
    ),
    thresholds=st.tuples(*2 * [st.floats(0.0, 1.0)]),
    enabled=st.tuples(st.booleans(), st.booleans()),
)
def test_ranks_and_bars_decide_as_scores_and_thresholds(
    scores, thresholds, enabled
):
    images = min(map(len, scores))
    scores = np.array([*(row[:images] for row in scores), [0.5] * images])
    policy = policy_of(thresholds, enabled)
    packed = rerouting.pack(said(3, images, 2), scores, {"some": [policy]})
    [entry] = packed["policies"]["some"]
    np.testing.assert_array_equal(stops(packed, entry), policy.stops(scores))


def test_neighbouring_floats_are_told_apart():
    score = 0.9
    scores = np.array([[np.nextafter(score, 0), score], [1.0, 1.0]])
    policy = policy_of([score])
    packed = rerouting.pack(said(2, 2, 2), scores, {"one": [policy]})
    [entry] = packed["policies"]["one"]
    assert stops(packed, entry).tolist() == [1, 0]


@pytest.mark.parametrize(("classes", "bits"), [(256, 8), (1000, 16)])
def test_labels_and_answers(classes, bits):
    answers = said(2, 50, classes)
    packed = rerouting.pack(answers, np.zeros((2, 50)), {})
    assert packed["answer_bits"] == bits
    np.testing.assert_array_equal(
        unpack(packed, "labels", bits), answers.labels
    )
    np.testing.assert_array_equal(
        unpack(packed, "answers", bits).reshape(2, 50),
        answers.logits.argmax(-1),
    )


def test_ten_thousand_images_at_ten_exits_are_kept_whole():
    rows = rerouting.subset(10_000, 10, 100)
    np.testing.assert_array_equal(rows, np.arange(10_000))


@pytest.mark.parametrize(("exits", "classes"), [(1, 2), (10, 1000)])
def test_many_images_are_thinned_out_evenly(exits, classes):
    rows = rerouting.subset(1_000_000, exits, classes)
    assert len(rows) <= 65_535
    assert len(rows) * exits * (3 if classes <= 256 else 4) <= 330_000
    steps = np.diff(rows)
    assert steps.max() - steps.min() <= 1
