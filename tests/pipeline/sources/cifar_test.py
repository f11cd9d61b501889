import io
import os
import pickle
import struct

import numpy as np
import pytest

from pipeline.data import image
from pipeline.sources import cifar

IMAGES = 7  # In each file.


def arrays(seed, classes):
    """Images as they are shown, uint8 [N, 32, 32, 3], and labels."""
    random = np.random.default_rng(seed)
    shown = random.integers(0, 256, (IMAGES, 32, 32, 3), np.uint8)
    return shown, random.integers(0, classes, IMAGES).tolist()


def planes(shown):
    return shown.transpose(0, 3, 1, 2).reshape(len(shown), -1)


def names(count):
    return [f"class {n}" for n in range(count)]


def write_binary(path, files, heads):
    for name, (shown, _) in files.items():
        rows = [
            bytes(head) + row.tobytes()
            for head, row in zip(heads(name), planes(shown), strict=True)
        ]
        (path / f"{name}.bin").write_bytes(b"".join(rows))


def cifar10(path, layout):
    """Writes a small CIFAR-10; returns images and labels by file."""
    batches = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
    files = {name: arrays(n, 10) for n, name in enumerate(batches)}
    if layout == "binary":
        write_binary(path, files, lambda name: [[x] for x in files[name][1]])
        text = "\n".join(names(10)) + "\n\n"
        (path / "batches.meta.txt").write_text(text)
        return files
    for name, (shown, labels) in files.items():
        batch = {
            b"batch_label": name.encode(),
            b"labels": labels,
            b"data": planes(shown),
            b"filenames": [b"x.png"] * IMAGES,
        }
        (path / name).write_bytes(pickle.dumps(batch, protocol=2))
    meta = {b"label_names": [n.encode() for n in names(10)], b"num_vis": 3072}
    (path / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))
    return files


def cifar100(path, layout):
    files = {name: arrays(n, 100) for n, name in enumerate(["train", "test"])}
    if layout == "binary":
        write_binary(
            path, files, lambda name: [[x // 5, x] for x in files[name][1]]
        )
        for kind, count in (("fine", 100), ("coarse", 20)):
            text = "\n".join(names(count)) + "\n"
            (path / f"{kind}_label_names.txt").write_text(text)
        return files
    for name, (shown, labels) in files.items():
        batch = {
            b"fine_labels": labels,
            b"coarse_labels": [label // 5 for label in labels],
            b"data": planes(shown),
        }
        (path / name).write_bytes(pickle.dumps(batch, protocol=2))
    meta = {
        b"fine_label_names": [n.encode() for n in names(100)],
        b"coarse_label_names": [n.encode() for n in names(20)],
    }
    (path / "meta").write_bytes(pickle.dumps(meta, protocol=2))
    return files


def listed(source):
    return [item for p in source.find().pieces for item in source.items(p)]


layouts = pytest.mark.parametrize("layout", ["binary", "python"])


@layouts
@pytest.mark.parametrize("data", [cifar10, cifar100])
@pytest.mark.parametrize("piece", [3, 10_000])
def test_every_image_with_its_label(tmp_path, monkeypatch, layout, data, piece):
    files = data(tmp_path, layout)
    monkeypatch.setattr(cifar, "_PIECE", piece)
    source = cifar.Cifar(str(tmp_path))
    found = source.find()
    assert found.labels == tuple(names(100 if data is cifar100 else 10))
    assert found.splits == ("test",)
    items = listed(pickle.loads(pickle.dumps(source)))
    assert [item.key for item in items] == [
        f"{name}/{index:05d}" for name in files for index in range(IMAGES)
    ]
    if layout == "binary":
        assert found.images == len(items)
    for item in reversed(items):
        name, index = item.key.split("/")
        shown, labels = files[name]
        loaded = source.load(item.location)
        assert (loaded.dtype, loaded.shape) == (np.uint8, (32, 32, 3))
        np.testing.assert_array_equal(loaded, shown[int(index)])
        assert item.label == labels[int(index)]
        assert item.split == ("test" if "test" in name else None)
        assert not item.reason


@layouts
def test_coarse_labels(tmp_path, layout):
    files = cifar100(tmp_path, layout)
    source = cifar.Cifar(str(tmp_path), coarse=True)
    assert source.find().labels == tuple(names(20))
    labels = [item.label for item in listed(source)]
    assert labels == [x // 5 for _, fine in files.values() for x in fine]
    assert source.state() != cifar.Cifar(str(tmp_path)).state()


@layouts
def test_classes_without_names_are_numbers(tmp_path, layout):
    cifar10(tmp_path, layout)
    for file in tmp_path.glob("batches.meta*"):
        file.unlink()
    assert cifar.Cifar(str(tmp_path)).find().labels == tuple("0123456789")


def test_the_rest_of_a_truncated_file_is_set_aside(tmp_path, monkeypatch):
    cifar10(tmp_path, "binary")
    path = tmp_path / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[: 6 * 3073 + 5])
    source = cifar.Cifar(str(tmp_path))
    for piece in (2, 3, 10_000):
        monkeypatch.setattr(cifar, "_PIECE", piece)
        items = listed(source)
        assert len(items) == 6 * IMAGES
        assert [item for item in items if item.reason] == [
            ("data_batch_2/00006", -1, "", None, "truncated record")
        ]
    with pytest.raises(image.BadImage, match="truncated record"):
        source.load("data_batch_2.bin:6")


def test_an_unknown_label_is_set_aside(tmp_path):
    cifar10(tmp_path, "binary")
    path = tmp_path / "test_batch.bin"
    data = bytearray(path.read_bytes())
    data[3073] = 10
    path.write_bytes(data)
    items = listed(cifar.Cifar(str(tmp_path)))
    assert [i[:5] for i in items if i.reason] == [
        ("test_batch/00001", -1, "", None, "unknown class 10")
    ]


def python_2(shown, labels):
    """A batch as NumPy 1 on Python 2 pickled it, text being bytes."""

    def text(data):
        return b"T" + struct.pack("<i", len(data)) + data

    def small(number):
        return b"K" + bytes([number])

    kind = b"cnumpy\ndtype\n" + text(b"u1") + small(0) + small(1) + b"\x87R"
    minus = b"J" + struct.pack("<i", -1)
    kind += b"(" + small(3) + text(b"|") + b"NNN" + 2 * minus + small(0) + b"tb"
    shape = b"M" + struct.pack("<H", len(shown)) + b"M\x00\x0c\x86"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
    array += small(0) + b"\x85" + text(b"b") + b"\x87R"
    array += b"(" + small(1) + shape + kind + b"\x89"
    array += text(planes(shown).tobytes()) + b"tb"
    numbers = b"](" + b"".join(map(small, labels)) + b"e"
    entries = text(b"data") + array + text(b"labels") + numbers
    return b"\x80\x02}(" + entries + b"u."


def test_a_batch_from_python_2(tmp_path):
    files = cifar10(tmp_path, "python")
    (tmp_path / "data_batch_3").write_bytes(python_2(*files["data_batch_3"]))
    source = cifar.Cifar(str(tmp_path))
    (item,) = (i for i in listed(source) if i.key == "data_batch_3/00004")
    shown, labels = files["data_batch_3"]
    assert item.label == labels[4]
    np.testing.assert_array_equal(source.load(item.location), shown[4])


def test_a_batch_that_python_3_pickled_again(tmp_path):
    files = cifar10(tmp_path, "python")
    shown, labels = files["data_batch_3"]
    again = {"data": planes(shown), "labels": labels}
    path = tmp_path / "data_batch_3"
    path.write_bytes(pickle.dumps(again, protocol=4))
    meta = {"label_names": names(10)}
    (tmp_path / "batches.meta").write_bytes(pickle.dumps(meta))
    source = cifar.Cifar(str(tmp_path))
    assert source.find().labels == tuple(names(10))
    (item,) = (i for i in listed(source) if i.key == "data_batch_3/00004")
    np.testing.assert_array_equal(source.load(item.location), shown[4])
    for other, message in (
        (pickle.dumps(again, protocol=5), "protocol 5"),
        (pickle.dumps(again | {"labels": np.array(labels)}), "protocol 5"),
        (pickle.dumps(again | {"labels": None}, 4), "'labels' with nothing"),
        (pickle.dumps(again | {"data": planes(shown) / 255}, 4), "types"),
        (pickle.dumps({"labels": labels}, 4), "no 'data'"),
    ):
        path.write_bytes(other)
        with pytest.raises(ValueError, match=f"data_batch_3 must.*{message}"):
            listed(source)


class Evil:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        pickle.dumps([1, 2]),
        pickle.dumps({b"data": 1, b"labels": []}),
        pickle.dumps({b"data": np.zeros((2, 5), np.uint8), b"labels": [1, 2]}),
        pickle.dumps({b"data": np.zeros((2, 3072)), b"labels": [1, 2]}),
        pickle.dumps({b"data": np.zeros((2, 3072), np.uint8)}),
        pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": "x"}),
        pickle.dumps(
            {b"data": np.zeros((1, 3072), np.uint8), b"labels": ["x"]}
        ),
        pickle.dumps({b"data": np.array([None, {}]), b"labels": [1, 2]}),
    ],
)
def test_a_damaged_batch_stops_the_run(tmp_path, content):
    cifar10(tmp_path, "python")
    (tmp_path / "data_batch_3").write_bytes(content)
    with pytest.raises(ValueError, match=r"data_batch_3 must be"):
        listed(cifar.Cifar(str(tmp_path)))


def test_a_pickle_cannot_run_anything(tmp_path):
    cifar10(tmp_path, "python")
    done = tmp_path / "done"
    for evil in (
        Evil(os.mkdir, str(done)),
        Evil(eval, f"__import__('os').mkdir({str(done)!r})"),
        Evil(np.save, str(done), 1),
        Evil(io.FileIO, str(done), "w"),
    ):
        (tmp_path / "data_batch_3").write_bytes(pickle.dumps(evil))
        with pytest.raises(ValueError, match="is not allowed"):
            listed(cifar.Cifar(str(tmp_path)))
        assert not list(tmp_path.glob("done*"))


@layouts
def test_an_object_store_gives_the_same_items(tmp_path, bucket, layout):
    cifar10(tmp_path, layout)
    for path in tmp_path.iterdir():
        bucket[f"bucket://b/c/{path.name}"] = path.read_bytes()
    local, remote = cifar.Cifar(str(tmp_path)), cifar.Cifar("bucket://b/c/")
    assert remote.find() == local.find()
    assert listed(remote) == listed(local)
    np.testing.assert_array_equal(
        remote.load(listed(remote)[3].location),
        local.load(listed(local)[3].location),
    )
    assert remote.state()


def test_the_state_sees_every_file(tmp_path):
    cifar10(tmp_path, "binary")
    source = cifar.Cifar(str(tmp_path))
    states = [source.state()]
    assert source.state() == states[0]
    for name in ("data_batch_4.bin", "test_batch.bin", "batches.meta.txt"):
        os.utime(tmp_path / name, ns=(0, 0))
        states.append(source.state())
    assert len(set(states)) == len(states)


def test_unusable_directories(tmp_path):
    for path in (str(tmp_path), "/no/where"):
        with pytest.raises(ValueError, match="`path`"):
            cifar.Cifar(path).find()
    cifar10(tmp_path, "binary")
    with pytest.raises(ValueError, match="`coarse`"):
        cifar.Cifar(str(tmp_path), coarse=True).find()
    (tmp_path / "batches.meta.txt").write_text("a\nb\n")
    with pytest.raises(ValueError, match="must name 10 classes"):
        cifar.Cifar(str(tmp_path)).find()
    (tmp_path / "data_batch_3.bin").unlink()
    with pytest.raises(ValueError, match=r"without data_batch_3\.bin"):
        cifar.Cifar(str(tmp_path)).find()


def opcode(name: str) -> bytes:
    return getattr(pickle, name)


def test_a_pickle_takes_no_more_memory_than_bytes(tmp_path, monkeypatch):
    """What the unpickler would take gigabytes for is not unpickled."""
    cifar10(tmp_path, "python")
    text = opcode("BINUNICODE") + struct.pack("<I", 1000) + bytes(1000)
    encode = opcode("GLOBAL") + b"_codecs\nencode\n" + opcode("BINPUT") + b"\1"
    again = opcode("BINGET") + b"\1" + opcode("BINGET") + b"\0"
    again += opcode("SHORT_BINUNICODE") + b"\6latin1"
    again += opcode("TUPLE2") + opcode("REDUCE")
    proto = opcode("PROTO") + b"\2"
    put = struct.pack("<I", 0x0FFF_FFFF)
    for content in (
        b"N" + opcode("LONG_BINPUT") + put + b"0N.",
        b"N" + opcode("PUT") + b"268435455\n.",
        proto + opcode("BYTEARRAY8") + struct.pack("<Q", 1 << 40) + b".",
        proto + opcode("BINBYTES") + struct.pack("<I", 1 << 31) + b".",
        proto + opcode("EMPTY_DICT") * (2 << 20) + b".",
        proto + text + opcode("BINPUT") + b"\0" + encode + again * 1000 + b".",
    ):
        (tmp_path / "data_batch_3").write_bytes(content)
        with pytest.raises(ValueError, match=r"data_batch_3 must be"):
            listed(cifar.Cifar(str(tmp_path)))


def test_a_batch_that_is_too_large_is_not_read(tmp_path):
    cifar10(tmp_path, "python")
    with open(tmp_path / "data_batch_3", "wb") as file:
        file.truncate(3 << 30)
    with pytest.raises(ValueError, match="larger than 256 MiB"):
        listed(cifar.Cifar(str(tmp_path)))


def test_names_as_python_2_pickled_them(tmp_path):
    """Protocol 0, as in batches.meta."""
    cifar10(tmp_path, "python")
    lines = ["(dp1", "S'num_cases_per_batch'", "p2", "I10000", "s"]
    lines += ["S'label_names'", "p3", "(lp4"]
    text = "\n".join(lines[:4]) + "\ns" + "\n".join(lines[5:]) + "\n"
    for place, name in enumerate(names(10), 5):
        text += f"S'{name}'\np{place}\na"
    (tmp_path / "batches.meta").write_text(text + "s.")
    assert cifar.Cifar(str(tmp_path)).find().labels == tuple(names(10))


def test_names_that_are_no_texts(tmp_path):
    cifar10(tmp_path, "python")
    for given in ([1] * 10, 5, [b"\xff"] * 10):
        meta = pickle.dumps({b"label_names": given})
        (tmp_path / "batches.meta").write_bytes(meta)
        with pytest.raises(ValueError, match=r"batches\.meta must"):
            cifar.Cifar(str(tmp_path)).find()


def test_a_pipe_in_place_of_a_file(tmp_path):
    cifar10(tmp_path, "binary")
    (tmp_path / "data_batch_3.bin").unlink()
    os.mkfifo(tmp_path / "data_batch_3.bin")
    with pytest.raises(ValueError, match=r"without data_batch_3\.bin"):
        cifar.Cifar(str(tmp_path)).find()
