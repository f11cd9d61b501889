import numpy as np
import pytest

from tests.support import quantized_networks
from tflite.runtime import interpreter
from tflite.timing.contestants import Contestant

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("runtime", ["tflite", "onnx"])
def test_logits_are_those_of_keras(network, runtime, tmp_path):
    from tflite.quantization import float_model

    convert = getattr(float_model, f"to_{runtime}")
    path = tmp_path / "model"
    path.write_bytes(convert(network))
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    expected = network.predict(images / np.float32(255), verbose=0)
    for threads in (1, 2):
        run = Contestant(runtime, str(path), threads).load()
        for i, image in enumerate(images):
            call = run(image)
            found = np.array(call.outputs)
            assert found.dtype == np.float32
            np.testing.assert_allclose(
                found, [exit[i] for exit in expected], atol=1e-4
            )
            assert 0 < call.kernel_ms[0] < call.ms


def test_what_the_legacy_keras_has_no_form_of_is_converted_too():
    keras = pytest.importorskip("keras")
    from tflite.quantization import float_model

    model = quantized_networks.two_exits(
        keras.layers.Conv2DTranspose(8, 3, activation="tanh")
    )
    pixels = quantized_networks.PIXELS[:2]
    runner = interpreter.load(float_model.to_tflite(model))
    run = runner.get_signature_runner()
    expected = quantized_networks.logits(model, pixels)
    for i, image in enumerate(pixels):
        found = run(image=image[None] / np.float32(255))
        for k in range(2):
            np.testing.assert_allclose(
                found[f"exit_{k}"][0], expected[k, i], atol=1e-4
            )
