import numpy as np
import pytest

from pipeline.results import predictions
from pipeline.results.predictions import Predictions


def some(images: int) -> Predictions:
    rng = np.random.default_rng(images)
    return Predictions(
        rng.integers(0, 4, images).astype(np.int32),
        rng.normal(size=(3, images, 4)),
    )


def test_accuracy_per_exit():
    logits = np.zeros((2, 4, 3))
    logits[0, :, 1] = 1.0
    logits[1, [0, 1, 2, 3], [1, 0, 2, 0]] = 1.0
    found = Predictions(np.array([1, 0, 2, 1]), logits)
    assert found.accuracies() == [0.5, 0.75]


def test_saved_and_loaded(tmp_path):
    path = tmp_path / "tflite" / "predictions.npz"
    splits = {"calibration": some(5), "test": some(7)}
    predictions.save(path, **splits)
    for name, expected in splits.items():
        found = predictions.load(path, name)
        assert found.labels.dtype == expected.labels.dtype
        assert found.logits.dtype == expected.logits.dtype
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_array_equal(found.logits, expected.logits)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        predictions.load(tmp_path / "predictions.npz", "test")


def test_a_split_that_was_not_saved(tmp_path):
    path = tmp_path / "predictions.npz"
    predictions.save(path, test=some(5))
    with pytest.raises(ValueError, match=r"`split`"):
        predictions.load(path, "train")


def test_cross_entropy_per_exit():
    logits = np.array(
        [[[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], [[0.0, 1e4, 0.0], [2.0, 0.0, 1.0]]]
    )
    said = Predictions(np.array([1, 0]), logits)
    last = np.log(np.exp([2.0, 0.0, 1.0]).sum()) - 2.0
    np.testing.assert_allclose(
        said.cross_entropies(), [np.log(3), (0.0 + last) / 2]
    )
