import dataclasses
import io
import json
import os
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import small_bundle
from tflite import bundle
from tflite.bundle import recorded_logits
from tflite.cutting import split

K, N, C = 2, 7, 5


def recorded(dtype="int8", gated=False, images=N) -> recorded_logits.Recorded:
    rng = np.random.default_rng(0)
    values = rng.integers(-128, 128, (K, images, C)).astype(dtype)
    steps = rng.integers(1, 2**40, (images, K))
    return recorded_logits.Recorded(
        labels=rng.integers(0, C, images).astype(np.int32),
        logits=values / np.float32(3) if dtype == "float32" else values,
        madds=steps.cumsum(axis=1) if gated else None,
    )


def decode(data, gated=False) -> recorded_logits.Recorded:
    return recorded_logits.decode(data, exits=K, classes=C, gated=gated)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_decode_gives_what_was_encoded(dtype, gated):
    before = recorded(dtype, gated)
    data = recorded_logits.encode(before)
    after = decode(data, gated)
    for name in ("labels", "logits") + gated * ("madds",):
        found, expected = getattr(after, name), getattr(before, name)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    assert (after.madds is None) == (not gated)
    assert recorded_logits.encode(after) == data


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("images", [1, 9, 10, 12345])
def test_numpy_opens_it(images, gated):
    before = recorded(gated=gated, images=images)
    data = recorded_logits.encode(before)
    array = np.load(io.BytesIO(data), allow_pickle=False)
    assert array.shape == (images,)
    np.testing.assert_array_equal(array["label"], before.labels)
    np.testing.assert_array_equal(array["logits"][:, 1], before.logits[1])
    assert (len(data) - array.nbytes) % 64 == 0
    # A file that numpy wrote is as good: it has more spaces.
    again = io.BytesIO()
    np.save(again, array)
    found = decode(again.getvalue(), gated)
    np.testing.assert_array_equal(found.logits, before.logits)


def other_header(data: bytes, old: bytes, new: bytes) -> bytes:
    """With a header of another content and so another length."""
    (size,) = struct.unpack("<H", data[8:10])
    text = data[10 : 10 + size].replace(old, new)
    return data[:8] + struct.pack("<H", len(text)) + text + data[10 + size :]


DATA = recorded_logits.encode(recorded())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        DATA[:9],
        DATA[:100],
        DATA[:-1],
        DATA + b"\0",
        DATA.replace(b"\x93NUMPY\x01", b"\x93NUMPY\x02"),
        DATA[:8] + b"\xff\xff" + DATA[10:],
        other_header(DATA, b"(7,)", b"(8,)"),
        other_header(DATA, b"(7,)", b"(99999999999999,)"),
        other_header(DATA, b"False", b"True"),
        other_header(DATA, b"|i1", b"|O"),
        other_header(DATA, b"{'descr': [", b"{'descr': [" * 5000),
        recorded_logits.encode(recorded(images=0)),
    ],
)
def test_what_encode_would_not_write_is_refused(data):
    with pytest.raises(bundle.InvalidBundle, match="2 exits of 5 classes"):
        decode(data)


@pytest.mark.parametrize(
    "other", [{"exits": 3}, {"classes": 4}, {"gated": True}]
)
def test_it_must_be_of_this_bundle(other):
    facts = {"exits": K, "classes": C, "gated": False} | other
    with pytest.raises(bundle.InvalidBundle, match="`encode`"):
        recorded_logits.decode(DATA, **facts)


def test_values_out_of_bounds_are_refused():
    for label in (-1, C):
        wrong = recorded()
        wrong.labels[3] = label
        with pytest.raises(bundle.InvalidBundle, match=r"`label`"):
            decode(recorded_logits.encode(wrong))
    for value in (np.nan, np.inf, -np.inf):
        wrong = recorded("float32")
        wrong.logits[1, 2, 3] = value
        with pytest.raises(bundle.InvalidBundle, match=r"`logits`"):
            decode(recorded_logits.encode(wrong))
    for value in (-1, 2**62):
        wrong = recorded(gated=True)
        wrong.madds[3, 1] = value
        with pytest.raises(bundle.InvalidBundle, match=r"`madds`"):
            decode(recorded_logits.encode(wrong), gated=True)


@given(st.binary(max_size=300), st.integers(0, len(DATA)))
def test_damage_is_an_error_or_harmless(noise, at):
    try:
        found = decode(DATA[:at] + noise + DATA[at + len(noise) :])
    except bundle.InvalidBundle:
        return
    assert found.logits.shape[::2] == (K, C)


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": np.zeros(N - 1, np.int32)},
        {"logits": np.zeros((K, N, C))},
        {"madds": np.zeros((K, N), np.int64)},
    ],
)
def test_only_what_belongs_together_is_encoded(changes):
    with pytest.raises(ValueError, match="`recorded`"):
        recorded_logits.encode(
            recorded_logits.Recorded(**(vars(recorded()) | changes))
        )


@pytest.fixture
def written(tmp_path, write_bundle):
    """A bundle whose models are just bytes, and its directory."""
    chain = [
        split.Segment(
            b"0", bundle.Wiring(("image",), ("a", "x"), exit=0), "a", 1
        ),
        split.Segment(b"1", bundle.Wiring(("x",), ("b",), exit=1), "b", 1),
    ]
    directory = tmp_path / "bundle"
    return write_bundle(directory, chain, calibration=DATA), directory


def test_a_bundle_has_it_beside_the_archive(written):
    opened, directory = written
    assert (directory / "calibration.npy").read_bytes() == DATA
    assert b"NUMPY" not in (directory / "bundle.zip").read_bytes()
    facts = json.loads((directory / "manifest.json").read_text())["calibration"]
    assert facts["file"] == "calibration.npy"
    assert facts["bytes"] == len(DATA)
    found = recorded_logits.read(opened)
    np.testing.assert_array_equal(found.logits, recorded().logits)


def test_a_bundle_is_sound_without_it(written):
    opened, directory = written
    (directory / "calibration.npy").unlink()
    again = bundle.read(str(directory))
    assert again == opened
    with pytest.raises(bundle.InvalidBundle, match=r"calibration\.npy"):
        recorded_logits.read(again)


def test_a_changed_file_is_refused(written):
    opened, directory = written
    (directory / "calibration.npy").write_bytes(DATA[:-1] + b"\1")
    with pytest.raises(bundle.InvalidBundle, match="SHA-256"):
        recorded_logits.read(opened)


def test_one_that_never_had_it_says_what_makes_it(tmp_path, write_bundle):
    wiring = bundle.Wiring(("image",), ("a",), exit=0)
    chain = [split.Segment(b"0", wiring, "a", 1)]
    opened = write_bundle(tmp_path / "bundle", chain)
    assert opened.calibration is None
    assert (
        "calibration" not in (tmp_path / "bundle" / "manifest.json").read_text()
    )
    with pytest.raises(bundle.InvalidBundle, match="keras-dynamic convert"):
        recorded_logits.read(opened)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (3, "calibration` must be an object"),
        ({"file": "calibration.npy"}, "`calibration` must have the keys"),
        ({"file": "../x", "sha256": "0" * 64, "bytes": 1}, "plain file name"),
        ({"file": "x", "sha256": "0" * 63, "bytes": 1}, "hexadecimal"),
        ({"file": "x", "sha256": "0" * 64, "bytes": -1}, "a count"),
    ],
)
def test_bad_facts_are_refused(written, facts, message):
    path = written[1] / "manifest.json"
    values = json.loads(path.read_text()) | {"calibration": facts}
    path.write_text(json.dumps(values))
    with pytest.raises(bundle.InvalidBundle, match=message):
        bundle.read(str(written[1]))


def test_other_policies_change_the_manifest_alone(written, tmp_path):
    opened, directory = written
    fast = opened.policy
    again = bundle.rewrite(
        opened,
        str(tmp_path / "again"),
        policy=opened.policy,
        operating_points={"fast": fast},
    )
    assert again.operating_points == {"fast": fast}
    changed = {
        path.name
        for path in directory.iterdir()
        if path.read_bytes() != (tmp_path / "again" / path.name).read_bytes()
    }
    assert changed == {"manifest.json", "bundle.zip"}
    back = bundle.rewrite(
        again,
        str(tmp_path / "back"),
        policy=opened.policy,
        operating_points={},
    )
    assert back.segments == opened.segments
    for path in directory.iterdir():
        assert path.read_bytes() == (tmp_path / "back" / path.name).read_bytes()


@pytest.mark.parametrize("gated", [False, True])
def test_no_more_images_are_kept_than_are_read(gated, monkeypatch):
    whole = recorded(gated=gated, images=500)
    assert recorded_logits.shortened(whole) is whole
    monkeypatch.setattr(recorded_logits, "MAX_BYTES", 3000)
    kept = recorded_logits.shortened(whole)
    data = recorded_logits.encode(kept)
    assert 2000 < len(data) <= 3000
    again = decode(data, gated)
    count = len(kept.labels)
    np.testing.assert_array_equal(again.labels, whole.labels[:count])
    np.testing.assert_array_equal(again.logits, whole.logits[:, :count])


def test_a_huge_file_is_not_read(tmp_path):
    opened = small_bundle.write(tmp_path)
    path = tmp_path / "calibration.npy"
    os.truncate(path, 3 * 2**30)  # Sparse.
    with pytest.raises(bundle.InvalidBundle, match=f"{3 * 2**30} bytes"):
        recorded_logits.read(opened)
    facts = dataclasses.replace(opened.calibration, bytes=2**28)
    with pytest.raises(bundle.InvalidBundle, match=r"calibration\.bytes"):
        recorded_logits.read(dataclasses.replace(opened, calibration=facts))
