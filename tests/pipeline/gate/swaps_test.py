import numpy as np

from pipeline.gate import swaps

NAMES = ["cat", "dog", "cow", "owl"]
TRUTH = np.repeat(np.arange(4), 10)


def test_right_answers():
    assert swaps.swaps(TRUTH, TRUTH, NAMES) == []


def test_a_pair_is_named_once():
    answers = np.array([0, 3, 2, 1])[TRUTH]
    answers[10] = 0
    assert swaps.swaps(TRUTH, answers, NAMES) == [
        "9 of 10 images of class 1 (dog) are taken for 3 (owl), and "
        "10 of 10 the other way: swapped labels?"
    ]


def test_one_way_is_no_swap():
    assert swaps.swaps(TRUTH, np.array([0, 3, 2, 3])[TRUTH], NAMES) == []


def test_a_cycle_is_no_swap():
    assert swaps.swaps(TRUTH, (TRUTH + 1) % 4, NAMES) == []


def test_classes_without_images():
    assert swaps.swaps(TRUTH[:20], TRUTH[:20], NAMES) == []
