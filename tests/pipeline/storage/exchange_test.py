import errno
import os

import pytest

from pipeline.storage import exchange


def test_two_directories_trade_places(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert exchange.exchange(tmp_path / "one", tmp_path / "other")
    assert os.listdir(tmp_path / "one") == ["other"]
    assert os.listdir(tmp_path / "other") == ["one"]


def test_a_link_trades_places_and_not_its_target(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "other").symlink_to("nowhere")
    assert exchange.exchange(tmp_path / "one", tmp_path / "other")
    assert os.readlink(tmp_path / "one") == "nowhere"
    assert (tmp_path / "other").is_dir()


def test_a_path_that_is_not_there(tmp_path):
    (tmp_path / "one").mkdir()
    with pytest.raises(FileNotFoundError, match="other"):
        exchange.exchange(tmp_path / "one", tmp_path / "other")
    assert os.listdir(tmp_path) == ["one"]


class Library:
    """A C library whose call fails."""

    def __init__(self, number):
        self.renameat2 = lambda *_: exchange.ctypes.set_errno(number) or -1


@pytest.mark.parametrize(
    "library",
    [object(), *map(Library, (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP))],
)
def test_a_system_that_cannot(tmp_path, monkeypatch, library):
    monkeypatch.setattr(exchange.ctypes, "CDLL", lambda *_, **__: library)
    assert not exchange.exchange(tmp_path / "one", tmp_path / "other")
