import io
import os
import pathlib
import socket
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.cli import classify_verb
from pipeline.data import foreign_records
from pipeline.scoring import reading
from pipeline.storage import tfrecord_file
from tests.support import tiny_bundle
from tests.support.score_outputs import (
    COUNT,
    IMAGES,
    LABELS,
    READERS,
    assert_row,
    example,
    key,
    raw,
    read,
    rejected,
    run,
    summary,
    write_records,
)
from tflite.runtime.harness import Harness


@pytest.fixture(scope="module", name="expected")
def _expected(directory):
    """What the harness says of every image."""
    with Harness(str(directory)) as harness:
        return [harness.classify(image) for image in IMAGES]


@pytest.mark.parametrize("stored", [8, 10])
def test_image_files_are_fitted_as_classify_does(tmp_path, stored):
    tiny_bundle.write(tmp_path / "bundle", stored=stored)
    files = tmp_path / "files" / "deep"
    files.mkdir(parents=True)
    big = tiny_bundle.images(6, 24)
    for i, (suffix, mode) in enumerate(
        [("jpg", "RGB"), ("JPEG", "L"), ("png", "RGB"), ("PNG", "RGBA")]
    ):
        Image.fromarray(big[i]).convert(mode).save(files / f"{i}.{suffix}")
    encoded = io.BytesIO()
    Image.fromarray(big[4]).save(encoded, "PNG")
    names = {"encoded": encoded.getvalue(), "format": b"png"}
    write_records(tmp_path / "files" / "one.tfrecord", [example(**names)])

    run(tmp_path / "bundle", [tmp_path / "files" / "**"], tmp_path / "s")

    rows = read(tmp_path / "s")
    with Harness(str(tmp_path / "bundle")) as harness:
        for path in files.iterdir():
            result = harness.classify(classify_verb._pixels(str(path), harness))
            assert_row(rows.pop(f"deep/{path.name}"), result, -1)
        (tmp_path / "4.png").write_bytes(encoded.getvalue())
        pixels = classify_verb._pixels(str(tmp_path / "4.png"), harness)
        (name,) = rows
        assert name == "one.tfrecord@0"
        assert_row(rows[name], harness.classify(pixels), -1)
    found = summary(tmp_path / "s")
    assert "accuracy" not in found
    assert "accuracy" not in found["exits"][0]
    assert found["labelled"] == 0


def test_raw_images_of_the_stored_size_are_cropped(tmp_path):
    tiny_bundle.write(tmp_path / "bundle", stored=12)
    pixels = tiny_bundle.images(1, 12)[0]
    data = example(
        raw=pixels.tobytes(), height=12, width=12, channels=3, label=2
    )
    write_records(tmp_path / "a", [data, raw(0)])
    run(tmp_path / "bundle", [tmp_path / "a"], tmp_path / "s")
    rows = read(tmp_path / "s")
    with Harness(str(tmp_path / "bundle")) as harness:
        result = harness.classify(pixels[2:-2, 2:-2])
        assert_row(rows.pop("a@0"), result, 2)
        assert_row(rows.pop(key(0)), harness.classify(IMAGES[0]), LABELS[0])


def damage(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def bad_inputs(directory) -> dict[str, str]:
    """Writes ten sound images and many others; returns keys and reasons."""
    frames = [tfrecord_file.frame(raw(i)) for i in range(10)]
    ends = np.cumsum([len(frame) for frame in frames]).tolist()
    (directory / "flipped.tfrecord").write_bytes(
        frames[0] + damage(frames[1], 40) + frames[2]
    )
    (directory / "truncated.tfrecord").write_bytes(
        b"".join(frames[3:6]) + frames[6][:-5]
    )
    (directory / "header.tfrecord").write_bytes(
        frames[7] + damage(frames[8], 2) + frames[9]
    )
    (directory / "notes.txt").write_text("no TFRecord at all, and no image")
    (directory / "empty.tfrecord").write_bytes(b"")
    small = {"height": 7, "width": 8, "channels": 3, "key": b"small"}
    lying = {**small, "height": 8, "key": b"lying"}
    inverse = {"height": -8, "width": -8, "channels": 3, "key": b"inverse"}
    write_records(
        directory / "odd.tfrecord",
        [
            b"no Example",
            example(key=b"nothing", label=1),
            example(raw=bytes(7 * 8 * 3), **small),
            example(raw=bytes(7 * 8 * 3), **lying),
            example(raw=bytes(8 * 8 * 3), **inverse),
            example(key=b"text", encoded=b"text", format=b"jpeg"),
            raw(6),
        ],
    )
    (directory / "text.jpg").write_text("no image")
    (directory / "empty.png").write_bytes(b"")
    jpeg = io.BytesIO()
    Image.fromarray(tiny_bundle.images(1, 64)[0]).save(jpeg, "JPEG")
    (directory / "half.jpg").write_bytes(jpeg.getvalue()[:900])
    (directory / "whole.jpg").write_bytes(jpeg.getvalue())
    at = dict(zip(range(1, 11), ends, strict=True))
    offset = at[6] - at[3]
    size = len(frames[7])
    return {
        f"flipped.tfrecord@{at[1]}": "wrong CRC of the data",
        f"truncated.tfrecord@{offset}": "truncated record",
        f"header.tfrecord@{size}": "nothing after it can be found",
        "notes.txt@0": "not a TFRecord",
        "odd.tfrecord@0": "not a tf.train.Example",
        "nothing": "must have image/encoded, or image/raw",
        "small": "(8, 8, 3). Received: (7, 8, 3)",
        "lying": "Received: 168 bytes for [8, 8, 3]",
        "inverse": "Received: 192 bytes for [-8, -8, 3]",
        "text": "not an image of a format that is read",
        "text.jpg": "not an image of a format that is read",
        "empty.png": "not an image of a format that is read",
        "half.jpg": "truncated",
    }


def test_bad_records_are_set_aside(directory, expected, tmp_path):
    (tmp_path / "in").mkdir()
    reasons = bad_inputs(tmp_path / "in")
    contents = []
    for name in ("a", "b"):
        run(directory, [tmp_path / "in" / "*"], tmp_path / name)
        found = rejected(tmp_path / name)
        assert set(found) == set(reasons)
        for each, reason in reasons.items():
            assert reason in found[each]
        rows = read(tmp_path / name)
        sound = {0: 0, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7}
        assert set(rows) == {
            *map(key, sound),
            "whole.jpg",
        }
        for i in sound:
            assert_row(rows[key(i)], expected[i], LABELS[i])
        assert summary(tmp_path / name)["rejected"] == len(reasons)
        contents.append(
            pathlib.Path(f"{tmp_path / name}-rejected.jsonl").read_bytes()
        )
    assert contents[0] == contents[1]


@given(
    sizes=st.lists(st.integers(0, 40), max_size=12),
    limit=st.integers(1, 200),
    cut=st.integers(0, 60),
)
def test_pieces_of_a_file_hold_all_of_it(tmp_path_factory, sizes, limit, cut):
    """Read piece by piece, a file gives what it gives in one."""
    path = tmp_path_factory.mktemp("pieces") / "a"
    datas = [bytes([i]) * size for i, size in enumerate(sizes)]
    write_records(path, datas)
    data = path.read_bytes()
    path.write_bytes(data[: max(0, len(data) - cut)])
    size = path.stat().st_size
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "PIECE", limit)
        pieces = list(reading.pieces(str(path), size))
    assert [start for _, start, *_ in pieces] == [
        0,
        *(stop for _, _, stop, *_ in pieces[:-1]),
    ]
    assert pieces[-1][2] == size
    assert len({name for *_, name in pieces}) == len(pieces)
    whole = list(foreign_records.find(str(path), 0, size))
    parts = [
        one for piece in pieces for one in foreign_records.find(*piece[:3])
    ]
    assert parts == whole
    if not cut:
        assert [one.data for one in whole] == datas
        if sum(sizes) > 2 * limit + 80:
            assert len(pieces) > 1


def test_a_large_file_is_cut(directory, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "PIECE", 700)
    write_records(tmp_path / "a", map(raw, range(COUNT)))
    run(directory, [tmp_path / "a"], tmp_path / "s")
    rows = read(tmp_path / "s")
    assert len(rows) == COUNT
    for i, result in enumerate(expected):
        assert_row(rows[key(i)], result, LABELS[i])


def hostile(directory) -> None:
    """Writes what is no image file, beside one whose name is not UTF-8."""
    image = Image.fromarray(tiny_bundle.images(1, 64)[0])
    for name in (b"/lat\xe9.jpg", b"/new\nline.jpg", b"/=1+1.jpg"):
        with open(os.fsencode(directory) + name, "wb") as file:
            image.save(file, "JPEG")
    for name in ("pipe.jpg", "pipe.tfrecord"):
        os.mkfifo(directory / name)
    for name in ("dangling.jpg", "dangling.tfrecord"):
        os.symlink("nowhere", directory / name)
    os.symlink("loop.png", directory / "loop.png")
    os.symlink(directory, directory / "up")
    os.symlink("/dev/zero", directory / "zero.png")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(directory / "socket.jpg"))
    for name in ("sparse.png", "sparse.tfrecord"):
        with open(directory / name, "wb") as file:
            file.truncate(3 << 30)
    size = struct.pack("<Q", 1 << 62)
    header = size + tfrecord_file._masked_crc(size)
    (directory / "long.tfrecord").write_bytes(header)
    write_records(directory / "key.tfrecord", [example(key=b"\xe9", label=1)])


@pytest.mark.parametrize("form", list(READERS))
def test_hostile_files_are_set_aside(directory, tmp_path, form):
    (tmp_path / "in").mkdir()
    hostile(tmp_path / "in")
    run(directory, [tmp_path / "in" / "**"], tmp_path / "s", f"--format={form}")
    rows = read(tmp_path / "s", form)
    assert set(rows) == {
        "bytes:lat%E9.jpg",
        "new\nline.jpg",
        "=1+1.jpg",
    }
    reasons = rejected(tmp_path / "s")
    assert reasons.pop("bytes:%E9").startswith("a record must have")
    assert set(reasons) == {
        *("pipe.jpg", "socket.jpg", "up/", "dangling.jpg"),
        *(f"{name}.png" for name in ("loop", "zero", "sparse")),
        *(
            f"{name}.tfrecord@0"
            for name in ("pipe", "dangling", "sparse", "long")
        ),
    }
    assert all(reasons.values())


def test_files_that_vanish_or_fail_are_set_aside(
    directory, tmp_path, monkeypatch
):
    for name in ("a.jpg", "gone.jpg", "locked.jpg", "broken.jpg"):
        Image.fromarray(IMAGES[0]).save(tmp_path / name)
    write_records(tmp_path / "gone.tfrecord", [raw(0)])
    opened = os.open

    def fail(path, *rest, **more):
        for name, number in (("gone", 2), ("locked", 13), ("broken", 5)):
            if os.path.basename(os.fsdecode(path)).startswith(name):
                raise OSError(number, os.strerror(number))
        return opened(path, *rest, **more)

    monkeypatch.setattr(os, "open", fail)
    run(directory, [tmp_path / "*"], tmp_path / "out" / "s")
    assert set(read(tmp_path / "out" / "s")) == {"a.jpg"}
    found = rejected(tmp_path / "out" / "s")
    assert found == {
        "gone.jpg": "cannot be read: No such file or directory",
        "locked.jpg": "cannot be read: Permission denied",
        "broken.jpg": "cannot be read: Input/output error",
        "gone.tfrecord@0": "cannot be read: No such file or "
        "directory; nothing after it can be found",
    }


def test_a_large_file_that_cannot_be_cut_is_one_piece(tmp_path):
    path = str(tmp_path / "gone.tfrecord")
    (piece,) = reading.pieces(path, 1 << 30)
    assert piece[:3] == (path, 0, 1 << 30)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_formulas_are_escaped_if_wanted(directory, tmp_path, form):
    write_records(
        tmp_path / "in",
        [
            example(
                key=key, raw=bytes(8 * 8 * 3), height=8, width=8, channels=3
            )
            for key in (b"=1+1", b"+1", b"-1", b"@a", b"\t=1", b"a=1")
        ],
    )
    inputs = [tmp_path / "in"]
    if form != "csv":
        with pytest.raises(ValueError, match="`escape_formulas`"):
            run(
                directory,
                inputs,
                tmp_path / "s",
                f"--format={form}",
                "--escape_formulas",
            )
        return
    run(directory, inputs, tmp_path / "a", "--format=csv")
    keys = {"=1+1", "+1", "-1", "@a", "\t=1", "a=1"}
    assert set(read(tmp_path / "a", "csv")) == keys
    run(
        directory,
        inputs,
        tmp_path / "b",
        "--format=csv",
        "--escape_formulas",
    )
    assert set(read(tmp_path / "b", "csv")) == {
        *("'=1+1", "'+1", "'-1", "'@a", "'\t=1", "a=1"),
    }


def test_a_flood_of_bad_records_is_counted_but_not_listed(
    directory, tmp_path, monkeypatch
):
    monkeypatch.setattr(reading, "LISTED", 3)
    datas = [raw(0), *([b""] * 10), raw(1)]
    write_records(tmp_path / "a", datas)
    run(directory, [tmp_path / "a"], tmp_path / "s")
    assert set(read(tmp_path / "s")) == {key(0), key(1)}
    assert summary(tmp_path / "s")["rejected"] == 10
    *listed, last = rejected(tmp_path / "s").values()
    assert len(listed) == 3
    assert "the first of 7 that are not listed" in last
