import keras
import numpy as np
import pytest

from keras_dynamic.graph import prefix

RNG = np.random.default_rng(0)
IMAGES = RNG.random((6, 8, 8, 3), np.float32)


def network() -> keras.Model:
    """Two exits on two blocks, the second with a shortcut and a dropout."""
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="block0")(images)
    x = keras.layers.BatchNormalization(name="block0_bn")(x)
    exits = [head(x, 0)]
    y = keras.layers.Conv2D(4, 3, padding="same", name="block1")(x)
    y = keras.layers.Dropout(0.5, name="block1_drop")(y)
    x = keras.layers.Add(name="block1_add")([x, y])
    exits.append(head(x, 1))
    return keras.Model(images, exits)


def head(x, exit):
    x = keras.layers.GlobalAveragePooling2D(name=f"exit_{exit}_pool")(x)
    x = keras.layers.Dropout(0.5, name=f"exit_{exit}_drop")(x)
    return keras.layers.Dense(3, name=f"exit_{exit}")(x)


def frozen(*names: str) -> prefix.Split | None:
    model = network()
    for name in names:
        model.get_layer(name).trainable = False
    found = prefix.split(model)
    if found:
        for whole, parts in zip(model(IMAGES), found(IMAGES), strict=True):
            np.testing.assert_array_equal(np.asarray(whole), np.asarray(parts))
        for whole, part in zip(
            model(IMAGES), found.rest(found.features(IMAGES)), strict=True
        ):
            np.testing.assert_array_equal(np.asarray(whole), np.asarray(part))
    return found


BACKBONE = ("block0", "block0_bn", "block1", "block1_drop", "block1_add")


def test_what_pools_behind_frozen_layers_belongs_to_them():
    found = frozen(*BACKBONE)
    assert [x.shape for x in found.prefix.outputs] == [(None, 4)] * 2
    names = {layer.name for layer in found.rest.layers}
    assert {"exit_0_drop", "exit_0", "exit_1_drop", "exit_1"} <= names
    assert not names & {"exit_0_pool", *BACKBONE}


def test_an_exit_that_is_all_frozen_is_a_feature():
    found = frozen(*BACKBONE, "exit_1", "exit_1_drop")
    assert [x.shape for x in found.prefix.outputs] == [(None, 4), (None, 3)]
    assert found.rest.trainable_variables
    # Another number of features than of outputs would not tell them apart.
    exits = found.rest(found.features(IMAGES), training=True)
    np.testing.assert_array_equal(
        np.asarray(exits[1]), np.asarray(network()(IMAGES)[1])
    )


def test_dropout_drops_unless_it_is_frozen():
    for names, same in ((BACKBONE, False), ((*BACKBONE, "exit_0_drop"), True)):
        found = frozen(*names)
        first, again = (found(IMAGES, training=True)[0] for _ in range(2))
        assert np.array_equal(np.asarray(first), np.asarray(again)) == same


def test_a_beginning_without_the_block_behind_it():
    found = frozen("block0", "block0_bn")
    shapes = {x.shape for x in found.prefix.outputs}
    assert shapes == {(None, 4), (None, 6, 6, 4)}


@pytest.mark.parametrize("names", [(), ("block1",), ("exit_0",)])
def test_without_a_frozen_beginning_there_is_none(names):
    assert frozen(*names) is None
