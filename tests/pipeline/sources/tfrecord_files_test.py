import os

import pytest

from pipeline.data import image
from pipeline.sources import tfrecord
from pipeline.storage import tfrecord_file
from tests.support.tfds_records import TFDS, accepted, images, rejected, write


def test_files_that_cannot_be_read_are_items(tmp_path):
    write(tmp_path / "a.tfrecord", images(3))
    os.mkfifo(tmp_path / "pipe.tfrecord")
    os.symlink("nowhere", tmp_path / "dangling.tfrecord")
    (tmp_path / "long.tfrecord").write_bytes(long_record())
    bad = os.fsencode(tmp_path) + b"/\xe9.tfrecord"
    os.rename(write(tmp_path / "b.tfrecord", images(1)), bad)
    source = tfrecord.TFRecord(str(tmp_path / "*"), **TFDS, classes=3)
    assert source.state()
    for piece in source.find().pieces:  # Beam's coders refuse the rest.
        piece.encode()
    items = accepted(source)
    assert set(items) == {
        *(f"a.tfrecord:{n}" for n in range(3)),
        "bytes:%E9.tfrecord:0",
    }
    for item in items.values():
        assert source.load(item.location)
    reasons = rejected(source)
    assert set(reasons) == {
        f"{name}.tfrecord:0" for name in ("pipe", "dangling", "long")
    }
    os.unlink(tmp_path / "a.tfrecord")
    with pytest.raises(image.BadImage, match="cannot be read: No such file"):
        source.load(items["a.tfrecord:1"].location)


def long_record() -> bytes:
    size = (1 << 62).to_bytes(8, "little")
    return size + tfrecord_file._masked_crc(size)


def test_a_record_that_became_long_meanwhile(tmp_path):
    path = write(tmp_path / "a.tfrecord", images(1))
    source = tfrecord.TFRecord(path, **TFDS, classes=3)
    (item,) = accepted(source).values()
    (tmp_path / "a.tfrecord").write_bytes(long_record())
    with pytest.raises(image.BadImage, match="more than"):
        source.load(item.location)


def test_a_file_of_names_that_is_none(tmp_path):
    path = write(tmp_path / "a.tfrecord", images(3))
    for content in (b"\xff", b"a\n\xe2\x80\xa8b\n", b"a\nb\tc\n"):
        (tmp_path / "names").write_bytes(content)
        source = tfrecord.TFRecord(
            path, **TFDS, labels_file=str(tmp_path / "names")
        )
        with pytest.raises(ValueError, match="must"):
            source.find()
    (tmp_path / "names").write_bytes(b"a\r\nb\r\n\r\nc d\n")
    assert source.find().labels == ("a", "b", "c d")


def test_a_first_record_that_is_no_example_is_one_item(tmp_path):
    write(tmp_path / "a.tfrecord", [b"no Example", b"", *images(3)])
    source = tfrecord.TFRecord(str(tmp_path / "*"), **TFDS, classes=3)
    assert source.find().images
    assert set(rejected(source)) == {"a.tfrecord:0", "a.tfrecord:1"}
    assert len(accepted(source)) == 3
