import numpy as np
import pytest

from tests.support import small_bundle
from tflite.cutting import truncate
from tflite.format import model_file
from tflite.runtime import interpreter
from tflite.runtime.whole_model import Unsplit


def logits(model: bytes, image: np.ndarray, output: str) -> np.ndarray:
    runner = interpreter.load(model).get_signature_runner()
    return runner(image=(image[None] ^ 0x80).view(np.int8))[output][0]


@pytest.mark.parametrize("exit", [0, 1, 2])
def test_one_exit_gives_the_same_bits(exit):
    whole = small_bundle.whole()
    alone = truncate.truncate(whole, f"exit_{exit}")
    model_file.verify(alone)
    unsplit = Unsplit(whole)
    rng = np.random.default_rng(0)
    for image in rng.integers(0, 256, (20, *small_bundle.SHAPE), np.uint8):
        found = logits(alone, image, f"exit_{exit}")
        np.testing.assert_array_equal(found, unsplit.logits(image)[exit])


@pytest.mark.parametrize("exit", [0, 1, 2])
def test_only_what_the_exit_needs_is_left(exit):
    # Each exit doubles what the one before doubled, and takes its mean.
    alone = truncate.truncate(small_bundle.whole(), f"exit_{exit}")
    [graph] = model_file.read(alone).subgraphs
    assert len(graph.operators) == exit + 2
    assert len(graph.outputs) == 1


def test_a_converted_model(int8_model, run_whole):
    rng = np.random.default_rng(0)
    image = rng.integers(-128, 128, (1, 16, 16, 3), np.int8)
    expected = run_whole(int8_model, {"image": image})
    for name, values in expected.items():
        alone = truncate.truncate(int8_model, name)
        [found] = run_whole(alone, {"image": image}).values()
        np.testing.assert_array_equal(found, values)


def test_an_output_that_is_not_there():
    with pytest.raises(ValueError, match="one of exit_0, exit_1, exit_2"):
        truncate.truncate(small_bundle.whole(), "exit_3")
