import keras
import numpy as np
import pytest

from keras_dynamic import layers
from tests.support.tiny_graph import TinyGraph
from tflite.diagnosis.layer_error import LayerError
from tflite.diagnosis.layer_errors import layer_errors

SIZE = 4
SCALE = 1 / 255


def images(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, SIZE, SIZE, 1), np.uint8)


def network(factor: float = 1.0):
    """Adds the image to itself twice; `factor` is of the float model only."""
    image = keras.Input((SIZE, SIZE, 1), name="image")
    first = keras.layers.Add(name="first")([image, image])
    if factor != 1.0:
        first = keras.layers.Rescaling(factor, name="first_scaled")(first)
    second = keras.layers.Add(name="second")([first, image])
    return keras.Model(image, keras.layers.ReLU(name="exit_0")(second))


def int8_model(
    first: str = "net/quant_first/add;net/quant_image/x", zero_point=-128
) -> bytes:
    """The same in int8, its output called after nothing."""
    graph = TinyGraph()
    shape = [1, SIZE, SIZE, 1]

    def tensor(name, scale, zero_point):
        return graph.tensor(
            shape, np.int8, name=name, scale=scale, zero_point=zero_point
        )

    image = tensor("serving_default_image:0", SCALE, -128)
    twice = tensor(first, 2 * SCALE, zero_point)
    thrice = tensor("StatefulPartitionedCall:0", 3 * SCALE, -128)
    options = {"fusedActivationFunction": 0, "potScaleInt16": True}
    graph.operator("ADD", [image, image], [twice], **options)
    graph.operator("ADD", [twice, image], [thrice], **options)
    names = {"image": image, "exit_0": thrice}
    return graph.write([image], [thrice], names)


def errors(model, made, count=10) -> dict[str, LayerError]:
    return {
        each.layer: each for each in layer_errors(model, made, images(count))
    }


def test_an_exact_model_has_the_error_of_its_steps_only():
    found = layer_errors(int8_model(), network(), images(10))
    assert [each.layer for each in found] == ["image", "first", "exit_0"]
    for each in found:
        assert each.own < 0.005
        assert each.total < 0.005
        assert each.cosine > 0.9999
        assert each.sqnr_db > 45.0


def test_an_error_is_that_of_the_layer_that_made_it():
    # The upper half of what the first sum can be is cut off.
    found = errors(int8_model(zero_point=0), network())
    assert found["first"].own > 0.2
    assert found["first"].own == pytest.approx(found["first"].total, rel=1e-3)
    assert found["exit_0"].total > 0.1
    assert found["exit_0"].own < 0.005
    assert found["exit_0"].cosine < 0.995


def test_the_numbers_are_those_of_numpy():
    pixels = images(10).astype(np.float64) / 255
    given = np.minimum(2 * pixels, 2 * SCALE * 127)
    found = errors(int8_model(zero_point=0), network())
    own = np.linalg.norm(given - 2 * pixels) / np.linalg.norm(2 * pixels)
    assert found["first"].own == pytest.approx(own, rel=0.01)
    total = np.linalg.norm(given - 2 * pixels) / np.linalg.norm(3 * pixels)
    assert found["exit_0"].total == pytest.approx(total, rel=0.01)
    cosine = np.sum((given + pixels) * pixels) / (
        np.linalg.norm(given + pixels) * np.linalg.norm(pixels)
    )
    assert found["exit_0"].cosine == pytest.approx(cosine, rel=1e-3)
    assert found["exit_0"].sqnr_db == pytest.approx(
        -20 * np.log10(total), rel=0.01
    )


def test_a_layer_without_a_tensor_is_part_of_the_next():
    found = errors(int8_model("called otherwise"), network(1.5))
    assert list(found) == ["image", "exit_0"]
    assert found["exit_0"].own == pytest.approx(0.25, abs=0.005)


def test_the_last_layer_in_a_name_is_the_one():
    found = errors(int8_model("net/quant_first_scaled/m;first"), network(1.5))
    assert list(found) == ["image", "first_scaled", "exit_0"]
    assert found["first_scaled"].own == pytest.approx(1 / 3, abs=0.005)


def test_the_number_of_images_does_not_matter_to_the_batches():
    assert errors(int8_model(), network(), 1)["first"].own < 0.01
    with pytest.raises(ValueError, match="Received: 0 images"):
        layer_errors(int8_model(), network(), images(0))


class Twice(keras.layers.Layer):
    def call(self, inputs):
        return inputs, inputs


def test_a_layer_that_gives_two_tensors_is_passed():
    made = network()
    logits, _ = Twice(name="exit_0_twice")(made.outputs[0])
    found = errors(int8_model(), keras.Model(made.inputs, logits))
    # The output's tensor tells no layer but the one that adds nothing.
    assert list(found) == ["image", "first"]


def test_a_score_is_compared_as_its_gate():
    image = keras.Input((SIZE, SIZE, 1), name="image")
    first = keras.layers.Add(name="first")([image, image])
    gate = layers.Gate(name="gate")(first)
    made = keras.Model(image, keras.layers.ReLU(name="exit_0")(gate))
    found = errors(int8_model(), made)
    assert list(found) == ["image", "gate", "exit_0"]
    # The float gate ends at 1, the int8 score at 2.
    assert found["gate"].own > 0.2


def test_another_model_is_refused():
    image = keras.Input((SIZE, SIZE, 1))
    other = keras.Model(image, keras.layers.Flatten(name="flat")(image))
    model = int8_model("other")
    model = model.replace(b"exit_0", b"exit_9")
    with pytest.raises(ValueError, match="0 tensors named after layers"):
        layer_errors(model, other, images(2))
