import errno
import os
import socket

import pytest
from apache_beam.io.filesystems import FileSystems

from pipeline.data import image
from pipeline.sources import tree


def names(path, **options):
    return sorted(entry.name for entry in tree.walk(str(path), **options))


def test_walks_files_and_directories(tmp_path):
    (tmp_path / "a" / ".b").mkdir(parents=True)
    (tmp_path / "a" / ".b" / "1").touch()
    (tmp_path / "2[*]").touch()
    assert names(tmp_path) == ["2[*]", "a/", "a/.b/", "a/.b/1"]
    assert names(tmp_path, skip=lambda name: name == "a/.b") == ["2[*]", "a/"]
    assert names(tmp_path, below="a") == ["a/", "a/.b/", "a/.b/1"]
    assert names(tmp_path, below="a/.b") == ["a/.b/", "a/.b/1"]


def test_walks_an_object_store(bucket):
    bucket["bucket://b/x[1]/a/1"] = b""
    bucket["bucket://b/x[1]/a/c/2"] = b""
    bucket["bucket://b/x[1]/a/"] = b""  # Placed by browsers as a directory.
    bucket["bucket://b/x[1]y/3"] = b""
    for path in ("bucket://b/x[1]", "bucket://b/x[1]/"):
        assert names(path) == ["a/", "a/1", "a/c/2"]
        assert names(path, skip=lambda name: name == "a/c") == ["a/", "a/1"]
        assert names(path, below="a/c") == ["a/c/2"]
    assert tree.is_directory("bucket://b/x[1]/a")
    assert not tree.is_directory("bucket://b/x")


def test_links_are_followed_but_not_in_a_circle(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1").touch()
    os.symlink(tmp_path / "a", tmp_path / "b")
    os.symlink(tmp_path, tmp_path / "a" / "up")
    os.symlink("nowhere", tmp_path / "dangling")
    os.symlink("itself", tmp_path / "itself")
    entries = dict(tree.walk(str(tmp_path)))
    loop = "a link to a directory that holds it"
    assert entries == {
        "a/": "",
        "a/1": "",
        "a/up/": loop,
        "b/": "",
        "b/1": "",
        "b/up/": loop,
        "dangling": "",
        "itself": "",
    }


def test_what_cannot_be_listed_is_an_entry(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    scandir = os.scandir

    def refuse(path):  # Permissions do not stop every user.
        if path.rstrip("/").endswith("b"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert dict(tree.walk(str(tmp_path))) == {
        "a/": "",
        "b/": "cannot be listed: Permission denied",
    }


def test_a_file_system_with_directories_is_refused(monkeypatch):
    system = FileSystems.get_filesystem("bucket://b")
    monkeypatch.setattr(type(system), "has_dirs", lambda self: True)
    with pytest.raises(ValueError, match="`path`"):
        names("bucket://b")


def test_state_sees_names_sizes_and_times(tmp_path):
    (tmp_path / "a").write_bytes(b"12")
    (tmp_path / "b").write_bytes(b"")
    os.utime(tmp_path / "a", ns=(0, 0))
    os.utime(tmp_path / "b", ns=(0, 0))
    states = [tree.state(str(tmp_path))]
    assert tree.state(str(tmp_path)) == states[0]
    (tmp_path / "a").write_bytes(b"1")
    os.utime(tmp_path / "a", ns=(0, 0))
    states.append(tree.state(str(tmp_path)))
    os.utime(tmp_path / "a", ns=(0, 1))
    states.append(tree.state(str(tmp_path)))
    (tmp_path / "b").rename(tmp_path / "c")
    states.append(tree.state(str(tmp_path)))
    os.symlink("nowhere", tmp_path / "d")
    states.append(tree.state(str(tmp_path)))
    assert len(set(states)) == len(states)


def test_state_of_an_object_store(bucket):
    bucket["bucket://b/x/1"] = b"1"
    before = tree.state("bucket://b/x")
    bucket["bucket://b/y/1"] = b"1"
    assert tree.state("bucket://b/x") == before
    bucket["bucket://b/x/1"] = b"12"
    assert tree.state("bucket://b/x") != before


def test_joins_paths():
    assert tree.join("/a", "b/c") == "/a/b/c"
    assert tree.join("/a", "/b") == "/b"
    assert tree.join("/a", "gs://b/c") == "gs://b/c"
    assert tree.join("gs://b/", "c/d") == "gs://b/c/d"


def test_reads_a_file(tmp_path, bucket):
    (tmp_path / "1").write_bytes(b"123")
    bucket["bucket://b/1"] = b"12"
    assert tree.read(str(tmp_path / "1"), max_bytes=3) == b"123"
    assert tree.read("bucket://b/1") == b"12"
    with pytest.raises(image.BadImage, match="larger than"):
        tree.read(str(tmp_path / "1"), max_bytes=2)


def test_what_is_no_file_is_a_bad_image(tmp_path, bucket):
    os.mkfifo(tmp_path / "pipe")
    os.symlink("itself", tmp_path / "itself")
    for name, reason in [
        ("pipe", "not a file"),
        ("itself", "cannot be read: Too many levels"),
        ("gone", "cannot be read: No such file or directory"),
        ("x" * 300, "cannot be read: File name too long"),
    ]:
        with pytest.raises(image.BadImage, match=reason):
            tree.read(str(tmp_path / name))
    with pytest.raises(image.BadImage, match="cannot be read: NotFound"):
        tree.read("bucket://b/gone")


def test_a_socket_and_a_device_are_bad_images(tmp_path):
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        for path in (tmp_path / "socket", "/dev/zero", tmp_path):
            with pytest.raises(image.BadImage, match="cannot be read: "):
                tree.read(str(path))


@pytest.mark.parametrize("path", ["http://a/1.jpg", "s3://a/1.jpg", "x://a"])
def test_a_store_that_nobody_knows_is_a_bad_image(path):
    with pytest.raises(image.BadImage, match="cannot be read: no file system"):
        tree.read(path)
    assert tree.version(path) == ""


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENXIO])
def test_errors_of_a_file_are_its_reason(monkeypatch, number):
    def broken(path, flags):
        raise OSError(number, "what it says")

    monkeypatch.setattr(os, "open", broken)
    with pytest.raises(image.BadImage, match="cannot be read: what it says"):
        tree.read("/x")


def test_a_sparse_file_is_not_read(tmp_path, monkeypatch):
    with open(tmp_path / "1", "wb") as file:
        file.truncate(3 << 30)
    monkeypatch.setattr(os, "read", None)
    with pytest.raises(image.BadImage, match="larger than 64 MiB"):
        tree.read(str(tmp_path / "1"))


def test_other_errors_pass(monkeypatch):
    def broken(path, flags):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", broken)
    with pytest.raises(OSError, match="Too many open files"):
        tree.read("/x")
