import keras
import pytest

from keras_dynamic import models


@pytest.fixture
def families(monkeypatch):
    """Families that are as before when the test has ended."""
    monkeypatch.setattr(models, "_ALL", dict(models._ALL))
    monkeypatch.setattr(models, "BUILDERS", models._ALL)


def two_exits(*, input_shape, classes, width=4):
    image = x = keras.Input(input_shape)
    exits = []
    for k in range(2):
        x = keras.layers.Conv2D(width, 3)(x)
        pooled = keras.layers.GlobalAveragePooling2D()(x)
        exits.append(keras.layers.Dense(classes, name=f"exit_{k}")(pooled))
    return keras.Model(image, exits)


def test_a_user_s_family_is_one_of_them(families):
    assert models.register("two_exits")(two_exits) is two_exits
    assert "two_exits" in models.names()
    model = models.build("two_exits", input_shape=(8, 8, 1), classes=3, width=2)
    assert [tuple(each.shape) for each in model.outputs] == [(None, 3)] * 2


def test_a_later_one_replaces_it(families):
    models.register("two_exits")(two_exits)
    again = models.register("two_exits")(lambda **arguments: None)
    assert models.build("two_exits") is again()


def test_those_of_the_package_stay(families):
    with pytest.raises(ValueError, match="`name`"):
        models.register("ranet")


def test_a_builder_that_does_not_take_what_is_given(families):
    with pytest.raises(ValueError, match="`builder`"):
        models.register("mine")(lambda classes: None)
    assert "mine" not in models.names()
