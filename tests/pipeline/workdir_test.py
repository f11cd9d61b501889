import os
import signal
import subprocess
import sys
import textwrap
from concurrent import futures

import pytest

from pipeline import workdir


def publish_directory(path, text):
    with workdir.published(path) as stage:
        stage.mkdir()
        (stage / "a").write_text(text)
        (stage / f"only-{text}").touch()


def test_publishes_a_file(tmp_path):
    path = tmp_path / "new" / "model.keras"
    with workdir.published(path) as stage:
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
    with pytest.raises(error), workdir.published(path) as stage:
        stage.mkdir()
        (stage / "half").touch()
        raise error
    assert sorted(os.listdir(path)) == ["a", "only-one"]
    assert os.listdir(tmp_path) == ["data"]


def test_nothing_written_is_an_error(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match="data"),
        workdir.published(tmp_path / "data"),
    ):
        pass
    assert os.listdir(tmp_path) == []


def test_a_file_does_not_replace_a_directory(tmp_path):
    publish_directory(tmp_path / "data", "one")
    with (
        pytest.raises(IsADirectoryError),
        workdir.published(tmp_path / "data") as stage,
    ):
        stage.touch()
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
    with pytest.raises(OSError, match="no"):
        publish_directory(path, "two")
    assert (path / "a").read_text() == "one"
    assert os.listdir(tmp_path) == ["data"]


def test_two_runs_at_once_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "data"
    with workdir.published(path) as outer:
        outer.mkdir()
        publish_directory(path, "inner")
        (outer / "a").write_text("outer")
    assert (path / "a").read_text() == "outer"
    assert os.listdir(tmp_path) == ["data"]


def test_many_runs_at_once_all_publish(tmp_path):
    def publish(run):
        for _ in range(25):
            publish_directory(tmp_path / "data", str(run))
            workdir.write_json(tmp_path / "data.json", run)

    with futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(publish, range(4)))
    assert len(os.listdir(tmp_path / "data")) == 2
    assert sorted(os.listdir(tmp_path)) == ["data", "data.json"]


# Kills itself at each step of publishing a directory.
KILLED = """
    import os, signal, sys
    from pipeline import workdir

    def kill(*args):
        os.kill(os.getpid(), signal.SIGKILL)

    path, step = sys.argv[1:]
    rename = os.rename
    def rename_and_kill(source, destination):
        if step == "second rename" and os.path.exists(path):
            return rename(source, destination)
        kill() if step.endswith("rename") else rename(source, destination)

    os.rename = rename_and_kill
    if step == "cleaning":
        workdir.shutil.rmtree = kill
    with workdir.published(path) as stage:
        stage.mkdir()
        (stage / "a").write_text("two")
        if step == "writing":
            kill()
"""


@pytest.mark.parametrize(
    ("step", "left", "restored"),
    [
        ("writing", "one", "one"),
        ("first rename", "one", "one"),
        ("second rename", None, "one"),
        ("cleaning", "two", "two"),
    ],
)
def test_a_kill_leaves_old_or_new_or_none(tmp_path, step, left, restored):
    path = tmp_path / "data"
    publish_directory(path, "one")
    script = textwrap.dedent(KILLED)
    run = subprocess.run([sys.executable, "-c", script, str(path), step])
    assert run.returncode == -signal.SIGKILL
    assert (path.exists() and (path / "a").read_text()) == (left or False)
    assert len(os.listdir(tmp_path)) == (2 if left else 1)

    # The next run restores and cleans up, even if it fails itself.
    with pytest.raises(ZeroDivisionError), workdir.published(path):
        _ = 1 / 0
    assert (path / "a").read_text() == restored
    assert os.listdir(tmp_path) == ["data"]


def test_leftovers_of_other_paths_stay(tmp_path):
    (tmp_path / ".data.x.abcdefgh.partial").mkdir()
    (tmp_path / ".dat.abcdefgh.partial").mkdir()
    publish_directory(tmp_path / "data", "one")
    assert len(os.listdir(tmp_path)) == 3


def test_json_keeps_the_order_of_keys(tmp_path):
    workdir.write_json(tmp_path / "x.json", {"b": 1, "a": [0.1]})
    assert (tmp_path / "x.json").read_text() == (
        '{\n  "b": 1,\n  "a": [\n    0.1\n  ]\n}\n'
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_refuses_what_it_lacks(tmp_path, value):
    workdir.write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(ValueError, match=r"x\.json"):
        workdir.write_json(tmp_path / "x.json", {"a": value})
    assert (tmp_path / "x.json").read_text() == '{\n  "a": 1\n}\n'
