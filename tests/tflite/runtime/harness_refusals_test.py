"""What the harness does not open, or finds out when it gets there."""

import hashlib
import json
import os

import numpy as np
import pytest

from tests.support.tiny_chain import policy_of
from tflite import bundle
from tflite.format import model_file
from tflite.runtime import harness

IMAGE = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)


@pytest.fixture
def directory(tmp_path, write_bundle, segments):
    write_bundle(tmp_path / "bundle", segments)
    return tmp_path / "bundle"


def forge(directory, exit: int, model: bytes) -> None:
    """Replaces a segment and adjusts the manifest to it."""
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text())
    facts = manifest["segments"][exit]
    facts["sha256"] = hashlib.sha256(model).hexdigest()
    facts["bytes"] = len(model)
    (directory / facts["file"]).write_bytes(model)
    path.write_text(json.dumps(manifest))


def test_a_changed_byte_is_found_before_use(directory):
    path = directory / "exit_2.tflite"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with harness.Harness(str(directory)) as opened:
        # The segment is read when an image first gets there.
        assert opened.run(IMAGE, policy_of([0.0, 0.0, 0.0])).exit == 0
        assert opened.run(IMAGE, policy_of([1.0, 0.0, 0.0])).exit == 1
        for _ in range(2):
            with pytest.raises(bundle.InvalidBundle, match="SHA-256"):
                opened.logits(IMAGE)
    path = directory / "exit_0.tflite"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(bundle.InvalidBundle, match="SHA-256"):
        harness.Harness(str(directory))


@pytest.mark.parametrize("model", [b"", b"no model", None])
def test_an_honest_hash_of_half_a_model_does_not_help(directory, model):
    original = (directory / "exit_0.tflite").read_bytes()
    forge(directory, 0, original[:900] if model is None else model)
    with pytest.raises(model_file.InvalidModel, match=r"exit_0\.tflite"):
        harness.Harness(str(directory))


def test_both_sides_of_a_cut_must_agree(directory, segments):
    sound = model_file.read(segments[1].model)
    (graph,) = sound.subgraphs
    # A convolution reads it, which takes any scale and zero point.
    tensor = graph.tensors[graph.inputs[0]]
    scale, zero_point = tensor.quantization.scale, tensor.quantization.zeroPoint

    def refuse(message):
        forge(directory, 1, model_file.write(sound))
        opened = harness.Harness(str(directory))
        with pytest.raises(bundle.InvalidBundle, match=message):
            opened.logits(IMAGE)

    tensor.quantization.scale = scale * np.float32(1.01)
    refuse("zero point that it has in other segments")
    tensor.quantization.scale = scale
    tensor.quantization.zeroPoint = zero_point + 1
    refuse("zero point that it has in other segments")
    tensor.quantization.zeroPoint = zero_point
    sound.signatureDefs[0].inputs[0].name = b"another"
    refuse("must have the inputs")
    sound.signatureDefs = []
    refuse("must have one signature")


def test_what_the_interpreter_refuses_is_named(directory, segments):
    model = model_file.read(segments[1].model)
    model.operatorCodes[0].version = 99
    forge(directory, 1, model_file.write(model))
    with pytest.raises(bundle.InvalidBundle, match=r"`exit_1\.tflite`"):
        harness.Harness(str(directory)).logits(IMAGE)


def test_the_image_s_tensor_must_be_the_manifest_s(
    tmp_path, write_bundle, segments
):
    facts = bundle.InputFacts((16, 32, 3))
    write_bundle(tmp_path / "a", segments, input=facts)
    facts = bundle.InputFacts((16, 16, 3), scale=1.001 / 255)
    write_bundle(tmp_path / "b", segments, input=facts)
    for name in ("a", "b"):
        with pytest.raises(bundle.InvalidBundle, match="'image' must have"):
            harness.Harness(str(tmp_path / name))


def test_labels_must_match_the_logits(tmp_path, write_bundle, segments):
    write_bundle(tmp_path, segments, labels=["a", "b"])
    with pytest.raises(bundle.InvalidBundle, match="2 labels"):
        harness.Harness(str(tmp_path))


def test_a_directory_without_bundle_is_refused(tmp_path):
    with pytest.raises(bundle.InvalidBundle, match=r"manifest\.json"):
        harness.Harness(str(tmp_path))


def test_a_manifest_cannot_ask_for_much_memory(directory):
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text())
    for size in (2**62, 2**80):
        manifest["segments"][0]["bytes"] = size
        path.write_text(json.dumps(manifest))
        with pytest.raises(bundle.InvalidBundle, match=f"Received: {size}"):
            harness.Harness(str(directory))
    path.write_bytes(b" " * (2**23 + 1))
    with pytest.raises(bundle.InvalidBundle, match="at most 8388608 bytes"):
        harness.Harness(str(directory))


def test_what_is_no_file_is_refused(directory):
    (directory / "exit_0.tflite").unlink()
    os.mkfifo(directory / "exit_0.tflite")  # To open it would take for ever.
    with pytest.raises(bundle.InvalidBundle, match=r"exit_0.*not a file"):
        harness.Harness(str(directory))
