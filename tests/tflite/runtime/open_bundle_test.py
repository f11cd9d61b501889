import os
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.support import tiny_chain
from tflite import bundle
from tflite.format import model_file
from tflite.runtime import harness, interpreter, open_bundle

IMAGES = tiny_chain.images(5)


@pytest.fixture
def directory(tmp_path, write_bundle):
    path = tmp_path / "bundle"
    write_bundle(path, tiny_chain.segments(), input=tiny_chain.INPUT)
    return path


def opened(path, **options) -> open_bundle.OpenBundle:
    return open_bundle.OpenBundle(str(path), interpreter.Options(**options))


def logits(path, **options) -> list:
    with harness.Harness(str(path), **options) as each:
        return [each.logits(image) for image in IMAGES]


def test_however_it_is_opened_the_results_are_the_same(directory):
    expected = logits(directory)
    np.testing.assert_array_equal(logits(directory / "bundle.zip"), expected)
    np.testing.assert_array_equal(
        logits(directory, memory_mapped=True), expected
    )


@pytest.mark.skipif(
    not os.path.exists("/proc/self/maps"), reason="needs Linux's /proc"
)
def test_models_are_mapped(directory):
    def maps():
        with open("/proc/self/maps") as lines:
            return sum(
                str(directory / "exit_1.tflite") in each for each in lines
            )

    held = opened(directory)
    kept = [held.load(1)]
    assert maps() == 0
    mapped = opened(directory, memory_mapped=True)
    kept += [mapped.load(1), mapped.load(1)]
    assert maps() == 2
    mapped.close()
    kept[1].invoke()
    kept.clear()
    assert maps() == 0


def test_what_was_checked_is_what_is_mapped(directory):
    """Though its name means another file by then."""
    expected = logits(directory)
    with harness.Harness(str(directory), memory_mapped=True) as each:
        each.warm_up()
        for file in directory.glob("*.tflite"):
            other = directory / "other"
            other.write_bytes(b"another model, or anything else")
            os.replace(other, file)
        # A new thread has new interpreters, which map the models again.
        with ThreadPoolExecutor(1) as pool:
            found = list(pool.map(each.logits, IMAGES))
    np.testing.assert_array_equal(found, expected)


def test_damage_is_found_before_it_is_mapped(directory):
    path = directory / "exit_1.tflite"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    held = opened(directory, memory_mapped=True)
    for _ in range(2):
        with pytest.raises(bundle.InvalidBundle, match="SHA-256"):
            held.load(1)
    path.write_bytes(b"")
    with pytest.raises(bundle.InvalidBundle, match="Received: 0 bytes"):
        held.load(1)


def test_what_a_map_needs(directory, monkeypatch):
    message = "`memory_mapped` must be False"
    with pytest.raises(ValueError, match=f"{message}.*bundle.zip"):
        opened(directory / "bundle.zip", memory_mapped=True)
    monkeypatch.setattr(os.path, "isdir", lambda path: False)
    with pytest.raises(ValueError, match=message):
        opened(directory, memory_mapped=True)


@pytest.mark.parametrize("mapped", [False, True])
def test_closed_is_closed(directory, mapped):
    held = opened(directory, memory_mapped=mapped)
    held.load(0)
    held.close()
    held.close()
    with pytest.raises(ValueError, match="must be open"):
        held.load(0)


def test_a_model_that_is_not_sound_is_named(directory, monkeypatch):
    data = (directory / "exit_0.tflite").read_bytes()[:100]
    found = bundle.read(str(directory))
    monkeypatch.setattr(
        bundle,
        "read",
        lambda path: types.SimpleNamespace(
            segments=found.segments, model=lambda place: data
        ),
    )
    with pytest.raises(model_file.InvalidModel, match=r"exit_0\.tflite"):
        opened(directory).load(0)


@pytest.mark.parametrize("mapped", [False, True])
def test_segments_are_bounded_together(directory, monkeypatch, mapped):
    needed = [
        len(model) + model_file.verify(model)
        for model in (
            opened(directory).bundle.model(place) for place in range(3)
        )
    ]
    assert min(needed) > 0
    monkeypatch.setattr(open_bundle, "MAX_MEMORY_BYTES", sum(needed[:2]))
    held = opened(directory, memory_mapped=mapped)
    held.load(0)
    held.load(1)
    held.load(1)  # Counted once.
    message = f"up to `exit_2.tflite` must .* Received: {sum(needed)}"
    with pytest.raises(bundle.InvalidBundle, match=message):
        held.load(2)
    held.close()
