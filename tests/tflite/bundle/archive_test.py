import struct
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tflite import bundle
from tflite.bundle import archive

FILES = {"manifest.json": b"{}", "a.tflite": bytes(range(256)), "empty": b""}


@pytest.fixture
def path(tmp_path):
    archive.write(str(tmp_path / "a.zip"), FILES)
    return tmp_path / "a.zip"


def test_files_come_back(path):
    for name, data in FILES.items():
        assert archive.read(str(path), name, len(data)) == data
        # They are where Android maps them, and others find them.
        with zipfile.ZipFile(path) as opened:
            assert opened.read(name) == data
        assert path.read_bytes().find(data) % 4 == 0 or not data


def test_every_file_is_aligned(path):
    raw = path.read_bytes()
    with zipfile.ZipFile(path) as opened:
        for info in opened.infolist():
            name, extra = struct.unpack_from(
                "<2H", raw, info.header_offset + 26
            )
            assert (info.header_offset + 30 + name + extra) % 16 == 0


def test_what_is_too_large_is_not_read(path):
    with pytest.raises(archive.InvalidArchive, match="at most 255 bytes"):
        archive.read(str(path), "a.tflite", 255)


def test_a_missing_file_is_named(path):
    with pytest.raises(archive.InvalidArchive, match=r"a file b\.tflite"):
        archive.read(str(path), "b.tflite", 9)
    with pytest.raises(FileNotFoundError):
        archive.read(f"{path}.zip", "a.tflite", 9)


def test_compressed_files_are_refused(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a.tflite", bytes(10**6))
    with pytest.raises(archive.InvalidArchive, match="must be stored"):
        archive.read(str(path), "a.tflite", 10**6)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("a", b"1")
        opened.writestr("a", b"2")
    with pytest.raises(archive.InvalidArchive, match="'a' once"):
        archive.read(str(path), "a", 9)


def test_a_large_directory_is_not_read(path):
    raw = bytearray(path.read_bytes())
    struct.pack_into("<L", raw, len(raw) - 10, 2**31)
    path.write_bytes(raw)
    with pytest.raises(archive.InvalidArchive, match="its directory must"):
        archive.read(str(path), "a.tflite", 256)


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all" * 9])
def test_what_is_no_zip_is_refused(tmp_path, data):
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    with pytest.raises(archive.InvalidArchive, match="must be a zip"):
        archive.read(str(path), "a", 9)
    with pytest.raises(bundle.InvalidBundle, match=r"bundle\.zip"):
        bundle.read(str(path))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damage_is_an_error_or_does_no_harm(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    archive.write(str(path), FILES)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    end = data.draw(st.sampled_from([len(raw)] * 3 + [len(raw) // 2, 30]))
    path.write_bytes(raw[:end])
    for name, content in FILES.items():
        try:
            found = archive.read(str(path), name, 256)
        except archive.InvalidArchive:
            continue
        assert found == content
