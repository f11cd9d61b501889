"""Segments in LiteRT's CompiledModel give the interpreter's bits."""

import numpy as np
import pytest

from tests.support import tiny_chain
from tflite.runtime import interpreter

pytest.importorskip("ai_edge_litert.compiled_model")


def shared(segments, image, threads) -> list[np.ndarray]:
    """Runs a chain whose segments hand on buffers; returns each's logits."""
    models = interpreter.compiled([each.model for each in segments], threads)
    buffers, found = {}, []
    for segment, model in zip(segments, models, strict=True):
        [key] = model.get_signature_list()
        signature = model.get_signature_by_index(0)
        for name in signature["inputs"]:
            if name not in buffers:
                buffers[name] = model.create_input_buffer_by_name(key, name)
                buffers[name].write(image)
        details = model.get_output_tensor_details(key)
        for name in signature["outputs"]:
            buffers[name] = model.create_output_buffer_by_name(key, name)
        model.run_by_index(
            0,
            [buffers[name] for name in signature["inputs"]],
            [buffers[name] for name in signature["outputs"]],
        )
        output = segment.wiring.outputs[0]
        count = int(np.prod(details[output]["shape"]))
        dtype = np.dtype(details[output]["dtype"])
        found.append(buffers[output].read(count, dtype))
    return found


@pytest.mark.parametrize("threads", [1, 2])
def test_a_chain_of_floats(threads, run_chain):
    segments = tiny_chain.segments(3)
    for image in tiny_chain.images(3):
        pixels = image[np.newaxis] * np.float32(1 / 255)
        expected = run_chain(segments, {"image": pixels})
        found = shared(segments, pixels, threads)
        for segment, logits in zip(segments, found, strict=True):
            output = segment.wiring.outputs[0]
            assert logits.tobytes() == expected[output].tobytes()


def test_an_int8_chain_whose_exit_reads_an_earlier_segment(segments, run_chain):
    image = np.random.default_rng(0).integers(
        -128, 128, (1, 16, 16, 3), dtype=np.int8
    )
    [name] = segments[0].wiring.inputs
    expected = run_chain(segments, {name: image})
    for segment, logits in zip(
        segments, shared(segments, image, 1), strict=True
    ):
        output = segment.wiring.outputs[0]
        assert logits.tobytes() == expected[output].tobytes()


def test_what_is_refused():
    model = tiny_chain.segments(1)[0].model
    with pytest.raises(ValueError, match="`threads`"):
        interpreter.compiled([model], 0)
    with pytest.raises(ValueError, match="`model`"):
        interpreter.compiled([b"no model at all"])
    with pytest.raises(TypeError, match="`model`"):
        interpreter.compiled([bytearray(model)])
