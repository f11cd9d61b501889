import keras
import numpy as np
import pytest

from keras_dynamic.layers import BilinearResize

RNG = np.random.default_rng(0)


def weights(size: int, new_size: int) -> np.ndarray:
    """What each old place gives to each new one, [new_size, size]."""
    centres = (np.arange(new_size) + 0.5) * size / new_size - 0.5
    low = np.floor(centres).astype(int)
    matrix = np.zeros((new_size, size))
    rows = np.arange(new_size)
    for at, share in ((low, low + 1 - centres), (low + 1, centres - low)):
        np.add.at(matrix, (rows, at.clip(0, size - 1)), share)
    return matrix


def reference(images: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.einsum(
        "yh,nhwc,xw->nyxc",
        weights(images.shape[1], height),
        images,
        weights(images.shape[2], width),
    )


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((2, 4, 4, 3), (8, 8)),
        ((1, 5, 7, 2), (9, 11)),
        ((1, 8, 6, 2), (4, 3)),
        ((1, 7, 7, 1), (4, 4)),
        ((3, 6, 4, 1), (6, 4)),
        ((1, 1, 1, 4), (3, 3)),
        ((1, 2, 9, 1), (10, 4)),
    ],
)
def test_interpolates_between_the_centres_of_pixels(shape, size):
    images = RNG.random(shape, np.float32)
    resized = BilinearResize(*size)(images)
    assert resized.shape == (shape[0], *size, shape[3])
    np.testing.assert_allclose(resized, reference(images, *size), atol=1e-6)


def test_halving_is_the_mean_of_two_by_two():
    images = RNG.random((2, 6, 8, 3), np.float32)
    means = images.reshape(2, 3, 2, 4, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(BilinearResize(3, 4)(images), means, atol=1e-6)


def test_shape_is_known_in_a_graph():
    image = keras.Input((5, 7, 2))
    assert BilinearResize(10, 3)(image).shape == (None, 10, 3, 2)


def test_training_changes_nothing_behind_it():
    image = keras.Input((4, 4, 2))
    resized = BilinearResize(8, 8)(image)
    model = keras.Model(image, keras.layers.Dropout(0.5)(resized))
    images = RNG.random((2, 4, 4, 2), np.float32)
    np.testing.assert_array_equal(model(images), model(images, training=False))


def test_saved_and_loaded(tmp_path):
    image = keras.Input((4, 4, 2))
    model = keras.Model(image, BilinearResize(8, 6, name="up")(image))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    layer = loaded.get_layer("up")
    assert isinstance(layer, BilinearResize)
    assert (layer.height, layer.width) == (8, 6)
    images = RNG.random((2, 4, 4, 2), np.float32)
    np.testing.assert_array_equal(model(images), loaded(images))


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (2.5, 4), (4, "8")])
def test_bad_sizes(size):
    with pytest.raises(ValueError, match="must be positive integers"):
        BilinearResize(*size)
