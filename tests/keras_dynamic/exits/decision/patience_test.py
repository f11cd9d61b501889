"""Tests of keras_dynamic.exits.decision.patience."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dynamic.exits.decision import patience
from keras_dynamic.exits.decision.policy import Policy


def saying(classes):
    """Logits [K, N, 3] whose top classes are `classes` [K, N]."""
    return 4.0 * np.eye(3)[np.array(classes)]


def patient(exits, agreeing, enabled=None):
    bar = patience.threshold(agreeing)
    return Policy(
        kind="patience",
        temperatures=(1.0,) * exits,
        thresholds=(bar,) * (exits - 1) + (0.0,),
        enabled=enabled or (True,) * exits,
    )


def published(classes, count):
    """Zhou et al. 2020: stop when `count` exits changed nothing."""
    unchanged = 0
    for exit in range(len(classes)):
        same = exit > 0 and classes[exit] == classes[exit - 1]
        unchanged = unchanged + 1 if same else 0
        if unchanged >= count:
            return exit
    return len(classes) - 1


@settings(derandomize=True, deadline=None, max_examples=80)
@given(
    classes=st.integers(1, 7).flatmap(
        lambda exits: st.lists(
            st.lists(st.integers(0, 2), min_size=exits, max_size=exits),
            min_size=1,
            max_size=12,
        )
    ),
    count=st.integers(0, 6),
)
def test_images_stop_as_in_the_paper(classes, count):
    logits = saying(np.transpose(classes))
    route = patient(len(logits), count + 1).route(logits)
    assert route.tolist() == [published(each, count) for each in classes]


def test_a_disabled_exit_counts_and_lets_nobody_leave():
    classes = [[0, 0], [0, 1], [0, 1], [2, 1]]
    route = patient(4, 2, (True, False, True, True)).route(saying(classes))
    assert route.tolist() == [2, 2]


@pytest.mark.parametrize("agreeing", range(1, 12))
def test_thresholds_are_met_exactly(agreeing):
    logits = saying([[1]] * (agreeing + 1))
    scores = patient(agreeing + 1, 1).scores(logits)[:, 0]
    assert scores[agreeing - 1] == patience.threshold(agreeing)
    assert (np.diff(scores) > 0).all()
    assert scores[0] == 0.0
    assert scores[-1] < 1.0
