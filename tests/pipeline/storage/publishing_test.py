import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent import futures

import pytest

from pipeline.storage import exchange, publishing

OURS = re.compile("a|only-.*")


def publish_directory(path, text):
    with publishing.published(path, OURS) as stage:
        stage.mkdir()
        (stage / "a").write_text(text)
        (stage / f"only-{text}").touch()


def test_publishes_a_file(tmp_path):
    path = tmp_path / "new" / "model.keras"
    with publishing.published(path) as stage:
        assert stage.name == "model.keras"
        stage.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"
    assert os.listdir(path.parent) == ["model.keras"]


def test_replaces_a_directory_whole(tmp_path):
    path = tmp_path / "data"
    publish_directory(path, "one")
    publish_directory(path, "two")
    assert sorted(os.listdir(path)) == ["a", "only-two"]
    assert os.listdir(tmp_path) == ["data"]


def test_replaces_what_a_link_points_to(tmp_path):
    publish_directory(tmp_path / "disk", "one")
    (tmp_path / "data").symlink_to("disk")
    publish_directory(tmp_path / "data", "two")
    assert (tmp_path / "data").is_symlink()
    assert (tmp_path / "disk" / "a").read_text() == "two"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_the_old(tmp_path, error):
    path = tmp_path / "data"
    publish_directory(path, "one")
    with pytest.raises(error), publishing.published(path, OURS) as stage:
        stage.mkdir()
        (stage / "half").touch()
        raise error
    assert sorted(os.listdir(path)) == ["a", "only-one"]
    assert os.listdir(tmp_path) == ["data"]


def test_nothing_written_is_an_error(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match="data"),
        publishing.published(tmp_path / "data"),
    ):
        pass
    assert os.listdir(tmp_path) == []


def test_a_file_does_not_replace_a_directory(tmp_path):
    publish_directory(tmp_path / "data", "one")
    with (
        pytest.raises(ValueError, match=r"`path`"),
        publishing.published(tmp_path / "data"),
    ):
        pytest.fail("the block ran")
    assert (tmp_path / "data" / "a").read_text() == "one"
    assert os.listdir(tmp_path) == ["data"]


def test_a_failed_rename_restores_the_old(tmp_path, monkeypatch):
    path = tmp_path / "data"
    publish_directory(path, "one")
    rename = os.rename

    def fail_once(source, destination):
        if os.path.basename(os.path.dirname(source)) == "new":
            raise OSError("no")
        rename(source, destination)

    monkeypatch.setattr(os, "rename", fail_once)
    monkeypatch.setattr(exchange, "exchange", lambda one, other: False)
    with pytest.raises(OSError, match="no"):
        publish_directory(path, "two")
    assert (path / "a").read_text() == "one"
    assert os.listdir(tmp_path) == ["data"]


def test_two_runs_at_once_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "data"
    with publishing.published(path, OURS) as outer:
        outer.mkdir()
        publish_directory(path, "inner")
        (outer / "a").write_text("outer")
    assert (path / "a").read_text() == "outer"
    assert os.listdir(tmp_path) == ["data"]


def test_many_runs_at_once_all_publish(tmp_path):
    def publish(run):
        for _ in range(25):
            publish_directory(tmp_path / "data", str(run))
            publishing.write_json(tmp_path / "data.json", run)

    with futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(publish, range(4)))
    assert len(os.listdir(tmp_path / "data")) == 2
    assert sorted(os.listdir(tmp_path)) == ["data", "data.json"]


# Kills itself at each step of publishing a directory.
KILLED = """
    import os, re, signal, sys
    from pipeline.storage import publishing

    def kill(*args):
        os.kill(os.getpid(), signal.SIGKILL)

    path, step = sys.argv[1:]
    names = "before the exchange", "first rename", "second rename", "third"
    exchange, rename = publishing.exchange.exchange, os.rename
    steps = iter(names[1:])

    def exchange_and_kill(one, other):
        if step in ("before the exchange", "after the exchange"):
            step.startswith("before") or exchange(one, other)
            kill()
        return step not in names[1:] and exchange(one, other)

    def rename_and_kill(source, destination):
        kill() if step == next(steps) else rename(source, destination)

    publishing.exchange.exchange = exchange_and_kill
    os.rename = rename_and_kill
    if step == "cleaning":
        publishing.shutil.rmtree = kill
    with publishing.published(path, re.compile("a|only-.*")) as stage:
        stage.mkdir()
        (stage / "a").write_text("two")
        if step == "writing":
            kill()
"""


@pytest.mark.parametrize(
    ("step", "left"),
    [
        ("writing", "one"),
        ("before the exchange", "one"),
        ("after the exchange", "two"),
        ("cleaning", "two"),
        # Where directories cannot be exchanged.
        ("first rename", "one"),
        ("second rename", None),
        ("third", "two"),
    ],
)
@pytest.mark.parametrize("next_one", ["published", "alone"])
def test_a_kill_leaves_the_old_or_the_new(tmp_path, step, left, next_one):
    path = tmp_path / "data"
    publish_directory(path, "one")
    script = textwrap.dedent(KILLED)
    run = subprocess.run([sys.executable, "-c", script, str(path), step])
    assert run.returncode == -signal.SIGKILL
    assert (path.exists() and (path / "a").read_text()) == (left or False)
    assert len(os.listdir(tmp_path)) == (2 if left else 1)

    # The next run restores and cleans up, even if it fails itself.
    with (
        pytest.raises(ZeroDivisionError),
        getattr(publishing, next_one)(path, *[OURS][: next_one == "published"]),
    ):
        _ = 1 / 0
    assert (path / "a").read_text() == (left or "one")
    assert os.listdir(tmp_path) == ["data"]


def test_a_reader_always_finds_a_directory(tmp_path):
    path = tmp_path / "data"
    publish_directory(path, "0")
    stop = threading.Event()

    def read():
        while not stop.is_set():
            os.stat(path)

    with futures.ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        for run in range(200):
            publish_directory(path, str(run))
        stop.set()
        reading.result()


@pytest.mark.parametrize("name", ["mine.txt", "a/b", "only", "A", ".hidden"])
def test_a_directory_with_other_files_is_refused_before_the_work(
    tmp_path, name
):
    path = tmp_path / "data"
    publish_directory(path, "one")
    if name == "a/b":
        (path / "a").unlink()
        (path / "a").mkdir()
    (path / name).write_text("mine")
    with (
        pytest.raises(ValueError, match=f"`path` must.*data with {name}"),
        publishing.published(path, OURS),
    ):
        pytest.fail("the block ran")
    assert (path / name).read_text() == "mine"
    assert os.listdir(tmp_path) == ["data"]


def test_a_file_that_comes_meanwhile_is_not_lost(tmp_path):
    path = tmp_path / "data"
    publish_directory(path, "one")
    with (
        pytest.raises(ValueError, match="with mine"),
        publishing.published(path, OURS) as stage,
    ):
        stage.mkdir()
        (path / "mine").write_text("mine")
    assert sorted(os.listdir(path)) == ["a", "mine", "only-one"]
    assert os.listdir(tmp_path) == ["data"]


def test_a_link_in_a_directory_is_a_file_of_it(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "b").symlink_to(tmp_path / "photos")
    assert list(publishing.names(tmp_path / "data")) == ["b"]
    with pytest.raises(ValueError, match="`path`"):
        publish_directory(tmp_path / "data", "one")


def test_an_empty_directory_is_replaced(tmp_path):
    (tmp_path / "data" / "empty").mkdir(parents=True)
    publish_directory(tmp_path / "data", "one")
    assert sorted(os.listdir(tmp_path / "data")) == ["a", "only-one"]


def test_a_directory_does_not_replace_a_file(tmp_path):
    (tmp_path / "data").write_text("mine")
    with pytest.raises(ValueError, match=r"`path`"):
        publish_directory(tmp_path / "data", "one")
    assert (tmp_path / "data").read_text() == "mine"


def test_a_link_itself_gives_way_if_asked_for(tmp_path):
    publish_directory(tmp_path / "disk", "one")
    (tmp_path / "disk" / "mine").touch()
    path = tmp_path / "data"
    path.symlink_to("disk")
    with publishing.published(path, OURS, follow=False) as stage:
        stage.symlink_to("other")
    assert os.readlink(path) == "other"
    with publishing.published(path, OURS, follow=False) as stage:
        stage.mkdir()
    assert path.is_dir()
    assert not path.is_symlink()
    with publishing.published(path, OURS, follow=False) as stage:
        stage.symlink_to("disk")
    assert path.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["data", "disk"]
    assert sorted(os.listdir(path)) == ["a", "mine", "only-one"]


@pytest.mark.parametrize("exchanging", [True, False])
def test_what_is_read_alone_is_still_there_when_it_is_replaced(
    tmp_path, monkeypatch, exchanging
):
    if not exchanging:
        monkeypatch.setattr(exchange, "exchange", lambda one, other: False)
    path = tmp_path / "data"
    publish_directory(path, "0")

    def add_one(_):
        with publishing.alone(path):
            number = int((path / "a").read_text())
            with publishing.published(path, OURS, held=True) as stage:
                stage.mkdir()
                (stage / "a").write_text(str(number + 1))

    with futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(add_one, range(100)))
    assert (path / "a").read_text() == "100"
    assert os.listdir(tmp_path) == ["data"]


def test_who_publishes_waits_for_who_is_alone(tmp_path):
    path = tmp_path / "data"
    publish_directory(path, "one")
    with futures.ThreadPoolExecutor(1) as pool:
        with publishing.alone(path):
            other = pool.submit(publish_directory, path, "two")
            with publishing.published(path, OURS, held=True) as stage:
                shutil.copytree(path, stage)
                assert not other.done()
                assert (path / "a").read_text() == "one"
        other.result()
    assert (path / "a").read_text() == "two"


def test_nobody_waits_where_there_is_no_directory(tmp_path):
    for name in ("none", "none/none", "file"):
        (tmp_path / "file").touch()
        with (
            publishing.alone(tmp_path / name),
            publishing.alone(tmp_path / name),
        ):
            pass


def test_what_only_has_such_a_name_stays(tmp_path):
    mine = tmp_path / ".data.abcdefgh.partial"
    mine.mkdir()
    (mine / "photo.jpg").write_text("mine")
    (tmp_path / ".data.abcdefg1.partial").write_text("mine")
    publish_directory(tmp_path / "data", "one")
    assert (mine / "photo.jpg").read_text() == "mine"
    assert len(os.listdir(tmp_path)) == 3


def test_leftovers_of_other_paths_stay(tmp_path):
    (tmp_path / ".data.x.abcdefgh.partial").mkdir()
    (tmp_path / ".dat.abcdefgh.partial").mkdir()
    publish_directory(tmp_path / "data", "one")
    assert len(os.listdir(tmp_path)) == 3


def test_json_keeps_the_order_of_keys(tmp_path):
    publishing.write_json(tmp_path / "x.json", {"b": 1, "a": [0.1]})
    assert (tmp_path / "x.json").read_text() == (
        '{\n  "b": 1,\n  "a": [\n    0.1\n  ]\n}\n'
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_refuses_what_it_lacks(tmp_path, value):
    publishing.write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(ValueError, match=r"x\.json"):
        publishing.write_json(tmp_path / "x.json", {"a": value})
    assert (tmp_path / "x.json").read_text() == '{\n  "a": 1\n}\n'
