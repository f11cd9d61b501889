import gzip
import os
import pickle
import struct

import numpy as np
import pytest

from pipeline.sources import idx


def encode(values):
    head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    return head + values.tobytes()


def data(part, count=12):
    """Images uint8 [N, 4, 3] and labels."""
    random = np.random.default_rng(len(part))
    shown = random.integers(0, 256, (count, 4, 3), np.uint8)
    return shown, np.arange(count, dtype=np.uint8) % 10


def write(path, parts=("train", "t10k"), dash="-", gz=False):
    for part in parts:
        for kind, values in zip(("images", "labels"), data(part), strict=True):
            name = f"{part}-{kind}{dash}idx{values.ndim}-ubyte"
            content = encode(values)
            if gz:
                name, content = f"{name}.gz", gzip.compress(content)
            (path / name).write_bytes(content)


def listed(source):
    return [item for p in source.find().pieces for item in source.items(p)]


@pytest.mark.parametrize("dash", ["-", "."])
@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("piece", [5, 10_000])
def test_every_image_with_its_label(tmp_path, monkeypatch, dash, gz, piece):
    write(tmp_path, dash=dash, gz=gz)
    monkeypatch.setattr(idx, "_PIECE", piece)
    source = idx.Idx(str(tmp_path))
    found = source.find()
    assert found.labels == tuple("0123456789")
    assert found.images == 24
    assert found.splits == ("test",)
    assert len(found.pieces) == (6 if piece == 5 else 2)
    items = listed(pickle.loads(pickle.dumps(source)))
    assert [item.key for item in items] == [
        f"{part}/{index:05d}"
        for part in ("train", "t10k")
        for index in range(12)
    ]
    for item in reversed(items):
        part, index = item.key.split("/")
        shown, labels = data(part)
        loaded = source.load(item.location)
        assert loaded.dtype == np.uint8
        np.testing.assert_array_equal(loaded, shown[int(index)])
        assert item.label == labels[int(index)]
        assert item.split == ("test" if part == "t10k" else None)
        assert not item.reason


def test_without_test_images(tmp_path):
    write(tmp_path, parts=["train"])
    source = idx.Idx(str(tmp_path))
    assert source.find().splits == ()
    assert len(listed(source)) == 12


def test_other_names_of_the_test_images(tmp_path, caplog):
    write(tmp_path, parts=["train", "test", "validation"])
    write(tmp_path, parts=["extra"])
    found = idx.Idx(str(tmp_path)).find()
    assert found.splits == ("validation", "test")
    assert (found.images, found.divided) == (36, 12)
    assert "extra-images" in caplog.text
    write(tmp_path, parts=["t10k"])
    with pytest.raises(ValueError, match="`path`"):
        idx.Idx(str(tmp_path)).find()


def test_names_of_classes(tmp_path):
    write(tmp_path)
    fashion = idx.Idx(str(tmp_path), fashion=True)
    assert fashion.find().labels[-1] == "Ankle boot"
    few = idx.Idx(str(tmp_path), classes=["zero", "one"])
    assert few.find().labels == ("zero", "one")
    items = listed(few)
    assert len(items) == 24
    assert {item.reason for item in items} == {
        "",
        *(f"unknown class {n}" for n in range(2, 10)),
    }
    assert sum(not item.reason for item in items) == 8
    assert few.state() != fashion.state()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Received: nothing"),
        (b"PK\x03\x04" * 10, "Received: 50 4b 03 04"),
        (encode(data("train")[0])[:9], "must be a whole IDX file"),
        (encode(data("train")[0])[:-1], "must hold 144 bytes.*: 143"),
        (encode(data("train")[0]) + b"x", "must hold 144 bytes.*more"),
        (encode(data("train")[0].reshape(-1)), "3 dimensions.*00 00 08 01"),
        (encode(data("train")[0][:11]), "of the same length.*11 and 12"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "must hold 79228162"),
    ],
)
@pytest.mark.parametrize("gz", [False, True])
def test_damaged_files(tmp_path, content, message, gz):
    write(tmp_path, gz=gz)
    name = "train-images-idx3-ubyte" + ".gz" * gz
    (tmp_path / name).write_bytes(gzip.compress(content) if gz else content)
    with pytest.raises(ValueError, match=message):
        idx.Idx(str(tmp_path)).find()


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", gzip.compress(b"0", mtime=0)[:-9]],
    ids=["empty", "other", "cut"],
)
def test_damaged_gzip(tmp_path, content):
    write(tmp_path, gz=True)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"train-labels-idx1-ubyte\.gz must"):
        idx.Idx(str(tmp_path)).find()


def test_a_truncated_gzip(tmp_path):
    write(tmp_path, gz=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for cut in range(1, len(whole), 7):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="train-images"):
            idx.Idx(str(tmp_path)).find()


def test_missing_files(tmp_path):
    for path in ("/no/where", str(tmp_path)):
        with pytest.raises(ValueError, match="`path`"):
            idx.Idx(path).find()
    write(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match="`path`"):
        idx.Idx(str(tmp_path)).find()
    with pytest.raises(ValueError, match="`classes`"):
        idx.Idx(str(tmp_path), classes=["a", "b"], fashion=True)


def test_an_object_store_gives_the_same_items(tmp_path, bucket):
    write(tmp_path, gz=True)
    for path in tmp_path.iterdir():
        bucket[f"bucket://b/c/{path.name}"] = path.read_bytes()
    local, remote = idx.Idx(str(tmp_path)), idx.Idx("bucket://b/c/")
    assert remote.find() == local.find()
    assert listed(remote) == listed(local)
    np.testing.assert_array_equal(
        remote.load(listed(remote)[3].location),
        local.load(listed(local)[3].location),
    )


def test_a_file_that_was_replaced_is_read_anew(tmp_path):
    write(tmp_path)
    source = idx.Idx(str(tmp_path))
    item = listed(source)[0]
    states = [source.state()]
    assert source.load(item.location).any()
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(encode(np.zeros((12, 4, 3), np.uint8)))
    os.utime(path, ns=(0, 0))
    assert not source.load(item.location).any()
    assert source.state() not in states


@pytest.mark.parametrize("gz", [False, True])
def test_a_header_is_no_promise_of_memory(tmp_path, monkeypatch, gz):
    """Nothing is read for what the file cannot hold, or no worker could."""
    write(tmp_path, gz=gz)
    name = "train-images-idx3-ubyte" + ".gz" * gz
    for shape in ((1 << 20, 1 << 9, 2), (1 << 31, 1 << 31, 1 << 31)):
        content = b"\0\0\x08\x03" + struct.pack(">3I", *shape)
        (tmp_path / name).write_bytes(gzip.compress(content) if gz else content)
        with pytest.raises(ValueError, match=f"{name} must hold"):
            idx.Idx(str(tmp_path)).find()


def test_a_gzip_that_expands_beyond_its_header_is_cut_off(tmp_path):
    write(tmp_path, gz=True)
    content = b"\0\0\x08\x03" + struct.pack(">3I", 1, 1, 1)
    bomb = gzip.compress(content + bytes(64 << 20))
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(bomb)
    with pytest.raises(ValueError, match=r"must hold 1 bytes.*more"):
        idx.Idx(str(tmp_path)).find()


@pytest.mark.parametrize("gz", [False, True])
def test_a_sparse_file_is_not_read(tmp_path, gz):
    write(tmp_path, gz=gz)
    name = "train-images-idx3-ubyte" + ".gz" * gz
    with open(tmp_path / name, "wb") as file:
        file.truncate(3 << 30)
    with pytest.raises(ValueError, match="larger than 1024 MiB"):
        idx.Idx(str(tmp_path)).find()
