import keras
import pytest

from keras_dynamic.weights import pretrained

PUBLISHED = pretrained.Published(
    "toy", "toy_pytorch_model", "models/toy.pth", "0" * 64
)


@pytest.fixture
def model():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(pretrained.CACHE, str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "cache"


def installed(tmp_path):
    package = tmp_path / "toy_pytorch_model" / "models"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("raise AssertionError")
    return package / "toy.pth"


def test_a_package_that_is_not_installed(cache, model):
    with pytest.raises(ValueError, match=r"`weights`.*toy-pytorch-model"):
        pretrained.load(model, PUBLISHED, None)


def test_a_package_without_its_file(cache, model, tmp_path):
    installed(tmp_path)
    with pytest.raises(ValueError, match=r"`weights`.*not there"):
        pretrained.load(model, PUBLISHED, None)


def test_another_file_is_not_even_read(cache, model, tmp_path, monkeypatch):
    installed(tmp_path).write_bytes(b"something else")
    monkeypatch.setattr(pretrained.torch_file, "read", None)
    with pytest.raises(ValueError, match=r"`weights`.*hash"):
        pretrained.load(model, PUBLISHED, None)
    assert not cache.exists()


def test_weights_that_do_not_fit_leave_no_file(
    cache, model, tmp_path, monkeypatch
):
    def fill(model, tensors):
        raise ValueError("`weights`")

    monkeypatch.setattr(pretrained, "_verified", lambda published: "")
    monkeypatch.setattr(pretrained.torch_file, "read", lambda path: {})
    with pytest.raises(ValueError, match="`weights`"):
        pretrained.load(model, PUBLISHED, fill)
    assert not cache.exists()
