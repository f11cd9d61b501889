import keras
import numpy as np
import pytest

from keras_dynamic.graph import exit_places, inlining

SIZE = (16, 16, 3)


def places(model):
    image = keras.Input(SIZE)
    again = inlining.inlined(model, [image])
    return exit_places.exit_places(again.outputs, again.tensors)


def residual():
    """Two blocks with shortcuts, of equal cost."""
    x = inputs = keras.Input(SIZE)
    x = keras.layers.Conv2D(4, 3, padding="same", name="stem")(x)
    for block in range(2):
        y = keras.layers.Conv2D(4, 3, padding="same", name=f"a{block}")(x)
        y = keras.layers.ReLU(name=f"r{block}")(y)
        y = keras.layers.Conv2D(4, 3, padding="same", name=f"b{block}")(y)
        x = keras.layers.Add(name=f"add{block}")([x, y])
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(2)(x))


def test_cost_and_what_crosses():
    found = {each.layer: each for each in places(residual())}
    # Behind an activation rather than before it; the shortcut crosses there.
    assert list(found) == ["stem", "r0", "add0", "r1", "add1"]
    stem, block = 16 * 16 * 27 * 4, 2 * 16 * 16 * 36 * 4
    assert found["stem"].madds == stem
    assert found["add0"].madds == stem + block
    assert found["add0"].share == (stem + block) / (stem + 2 * block + 8)
    assert found["add0"].tensors == 1
    assert found["add0"].bytes == 16 * 16 * 4
    assert (found["r0"].tensors, found["r0"].bytes) == (2, 2 * 16 * 16 * 4)
    assert found["add0"].shape == (16, 16, 4)


def test_chosen_where_one_tensor_crosses():
    found = places(residual())
    chosen = exit_places.by_cost(found, 2)
    assert [each.layer for each in chosen] == ["stem", "add0"]


@pytest.mark.parametrize("count", [0, 6])
def test_no_more_than_there_are(count):
    with pytest.raises(ValueError, match="`at`"):
        exit_places.by_cost(places(residual()), count)


def test_what_an_earlier_exit_alone_reads_is_no_place():
    x = inputs = keras.Input(SIZE)
    x = keras.layers.Conv2D(4, 3, name="stem")(x)
    early = keras.layers.Conv2D(8, 3, name="early")(x)
    x = keras.layers.Conv2D(8, 3, name="on")(x)
    pool = keras.layers.GlobalAveragePooling2D()
    model = keras.Model(inputs, [pool(early), keras.layers.Flatten()(x)])
    assert [each.layer for each in places(model)] == ["stem"]


def test_a_graph_called_again_gives_the_same():
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            keras.layers.Conv2D(5, 3, name="conv"),
            keras.layers.Dropout(0.5, name="drop"),
        ],
        name="inner",
    )
    x = inputs = keras.Input(SIZE)
    x = keras.layers.Conv2D(4, 2, strides=2, name="conv")(x)
    x = inner(x, training=False)
    x = keras.ops.concatenate([x, 2.0 * x], axis=-1)
    model = keras.Model(inputs, x)
    image = keras.Input(SIZE)
    again = inlining.inlined(model, [image])
    flat = keras.Model(image, list(again.outputs))
    assert "inner/conv" in again.tensors
    # Two layers of one name: the later one is a copy.
    assert {"conv", "inner_conv"} <= {each.name for each in flat.layers}
    images = np.random.default_rng(0).random((2, *SIZE), np.float32)
    np.testing.assert_array_equal(flat(images), model(images))
