import keras
import pytest

from keras_dynamic.training import freezing
from tests.support.toy_exits import chain


def names(freeze: str) -> set[str]:
    return {layer.name for layer in freezing.chosen(chain(), freeze)}


BACKBONE = {"image"} | {
    f"block{k}{end}" for k in range(3) for end in ("", "_bn")
}


@pytest.mark.parametrize(
    ("freeze", "expected"),
    [
        ("", set()),
        ("block0", {"block0"}),
        ("block0*, exit_1", {"block0", "block0_bn", "exit_1"}),
        ("backbone", BACKBONE),
        ("backbone, !block2*", BACKBONE - {"block2", "block2_bn"}),
        ("!block2*, backbone", BACKBONE),
        ("*,!exit_*", BACKBONE),
        (
            "up to exit 0",
            {"image", "block0", "block0_bn", "exit_0_0", "exit_0"},
        ),
        ("up to exit 2", BACKBONE | {"exit_2_0", "exit_2"}),
    ],
)
def test_words_choose_layers(freeze, expected):
    assert names(freeze) == expected


@pytest.mark.parametrize(
    "freeze", ["blocks*", "backbone, exit 1", "up to exit 3", "!exit_3"]
)
def test_a_word_that_names_no_layer(freeze):
    with pytest.raises(ValueError, match=r"`a\[1\]`.*up to exit k.*block0"):
        freezing.chosen(chain(), freeze, "a[1]")


def test_something_must_be_left():
    model = chain()
    freezing.freeze(model, freezing.chosen(model, "backbone"))
    assert {each.path.split("/")[0] for each in model.trainable_variables} == {
        f"exit_{k}{end}" for k in range(3) for end in ("", "_0")
    }
    with pytest.raises(ValueError, match="`a`"):
        freezing.freeze(model, model.layers, "a")
    assert isinstance(model, keras.Model)
