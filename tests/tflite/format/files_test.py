import errno
import os

import pytest

from tflite.format import files


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a").write_bytes(b"inside")
    (tmp_path / "outside").write_bytes(b"outside")
    (tmp_path / "here_too").mkdir()
    (tmp_path / "here_too" / "a").write_bytes(b"outside")
    return tmp_path / "here"


def inside(directory, name) -> bytes:
    with files.open_inside(str(directory), name) as file:
        return file.read()


def test_a_model_may_not_have_any_size(directory):
    os.truncate(directory / "a", 2**40)
    with pytest.raises(files.Unreadable) as error:
        files.model(directory / "a")
    assert error.value.errno == errno.EFBIG


def test_a_path_with_a_zero_byte_is_unreadable():
    with pytest.raises(files.Unreadable):
        files.read("a\0b", 10)


@pytest.mark.parametrize(
    "target",
    ["../outside", "../here_too/a", "/etc/passwd", "/dev/zero", "further"],
)
def test_no_link_leads_outside(directory, target):
    (directory / "further").symlink_to("../outside")
    (directory / "link").symlink_to(target)
    with pytest.raises(files.Unreadable, match="leads out"):
        inside(directory, "link")


def test_a_link_may_lead_inside(directory, tmp_path):
    (directory / "further").symlink_to("a")
    (directory / "link").symlink_to(directory / "further")
    (tmp_path / "elsewhere").symlink_to(directory)
    assert inside(directory, "link") == b"inside"
    assert inside(tmp_path / "elsewhere", "link") == b"inside"


def test_a_link_to_itself_is_an_error(directory):
    (directory / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links"):
        inside(directory, "loop")


def test_a_name_does_not_lead_outside(directory):
    for name in ("../outside", str(directory.parent / "outside")):
        with pytest.raises(files.Unreadable, match="leads out"):
            inside(directory, name)
