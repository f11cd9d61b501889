import os

import pytest

from pipeline.scoring import matching
from pipeline.sources import file_names
from pipeline.storage.written_name import written


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"123")


def found(root, pattern):
    """What a pattern matches below a directory: {name: (bytes, fault)}."""
    matches = list(matching.matches(f"{root}/{pattern}"))
    names = {path[len(str(root)) + 1 :]: rest for path, *rest in matches}
    assert len(names) == len(matches)
    return names


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a/1.jpg", ["a/1.jpg"]),
        ("a/*", ["a/1.jpg", "a/2.png", "a/.h"]),
        ("a/", ["a/1.jpg", "a/2.png", "a/.h"]),
        ("*/1.jpg", ["a/1.jpg", "b/1.jpg"]),
        ("*/*/1.jpg", ["b/c/1.jpg"]),
        ("b/**", ["b/1.jpg", "b/c/1.jpg", "b/c/d/3.jpg"]),
        ("**.jpg", ["a/1.jpg", "b/1.jpg", "b/c/1.jpg", "b/c/d/3.jpg"]),
        ("[!b]/?.jpg", ["a/1.jpg"]),
        ("b", ["b/1.jpg", "b/c/1.jpg", "b/c/d/3.jpg"]),
        ("b/", ["b/1.jpg", "b/c/1.jpg", "b/c/d/3.jpg"]),
        ("a/.*", ["a/.h"]),
        ("none/*", []),
        ("*.jpg", []),
    ],
)
def test_patterns(tmp_path, pattern, names):
    touch(tmp_path, "a/1.jpg", "a/2.png", "a/.h", "b/1.jpg")
    touch(tmp_path, "b/c/1.jpg", "b/c/d/3.jpg")
    assert set(found(tmp_path, pattern)) == set(names)


def test_a_relative_pattern(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.jpg", "2.jpg")
    monkeypatch.chdir(tmp_path)
    assert list(matching.matches("*.jpg")) == [("2.jpg", 3, "")]
    assert list(matching.matches("a/*.jpg")) == [("a/1.jpg", 3, "")]


def test_nothing_is_passed_over(tmp_path):
    touch(tmp_path, "real/1.jpg", "in/2.jpg", "in/a\nb.jpg", "in/a\\b.jpg")
    os.symlink("nowhere", tmp_path / "in" / "dangling.jpg")
    os.symlink("loop.jpg", tmp_path / "in" / "loop.jpg")
    os.symlink(tmp_path / "real", tmp_path / "in" / "link")
    os.symlink(tmp_path / "in", tmp_path / "in" / "up")
    os.mkfifo(tmp_path / "in" / "pipe.jpg")
    bad = os.fsdecode(os.fsencode(tmp_path) + b"/in/\xe9.jpg")
    os.close(os.open(bad, os.O_CREAT))
    here = {
        "in/2.jpg": [3, ""],
        "in/a\nb.jpg": [3, ""],
        "in/a\\b.jpg": [3, ""],
        "in/dangling.jpg": [0, ""],
        "in/loop.jpg": [0, ""],
        "in/pipe.jpg": [0, ""],
        "in/\udce9.jpg": [0, ""],
    }
    assert found(tmp_path, "in/*.jpg") == here
    assert found(tmp_path, "in/**") == here | {
        "in/link/1.jpg": [3, ""],
        "in/up/": [0, "a link to a directory that holds it"],
    }
    assert found(tmp_path, "in/dangling.jpg") == {"in/dangling.jpg": [0, ""]}
    assert written(bad).endswith("/in/%E9.jpg")


def test_directories_that_cannot_be_listed(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.jpg", "b/1.jpg", "b/c/1.jpg")
    scandir = os.scandir

    def refuse(path):  # Permissions do not stop every user.
        if path.rstrip("/").endswith("b"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    fault = {"b/": [0, "cannot be listed: Permission denied"]}
    assert found(tmp_path, "*/1.jpg") == {"a/1.jpg": [3, ""]} | fault
    assert found(tmp_path, "**") == {"a/1.jpg": [3, ""]} | fault
    # No match can be in it.
    assert found(tmp_path, "a*/1.jpg") == {"a/1.jpg": [3, ""]}


def test_only_directories_that_may_hold_matches_are_listed(
    tmp_path, monkeypatch
):
    touch(tmp_path, "a/1.jpg", "b/1.jpg", "a/deep/1.jpg")
    scandir, listed = os.scandir, []

    def note(path):
        listed.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", note)
    assert set(found(tmp_path, "[a]/*.jpg")) == {"a/1.jpg"}
    assert len(listed) == 2


def test_hidden_and_system_files_are_matches_with_a_fault(tmp_path):
    hidden = ("a/.DS_Store", "a/._1.jpg", "a/.git/2.jpg", "__MACOSX/3.jpg")
    touch(tmp_path, "a/1.jpg", *hidden)
    faults = {name: [0, file_names.SKIPPED] for name in hidden}
    assert found(tmp_path, "") == {"a/1.jpg": [3, ""]} | faults
    assert found(tmp_path, "a/*") == {
        "a/1.jpg": [3, ""],
        **{name: faults[name] for name in hidden[:2]},
    }
    assert found(tmp_path, "a/.git/*") == {"a/.git/2.jpg": [3, ""]}
    assert found(tmp_path, "a/._1.jpg") == {"a/._1.jpg": [3, ""]}


def test_a_path_that_is_there_is_itself(tmp_path):
    touch(tmp_path, "a [2]/1.jpg", "a [2]/b*/2 [1].jpg", "a 2/3.jpg")
    assert set(found(tmp_path, "a [2]/*")) == {"a [2]/1.jpg"}
    deep = "a [2]/b*/2 [1].jpg"
    assert set(found(tmp_path, deep)) == {deep}
    assert set(found(tmp_path, "a [2]")) == {"a [2]/1.jpg", deep}
    assert set(found(tmp_path, "a [0-9]/**")) == {"a 2/3.jpg"}


def test_the_root_is_what_all_patterns_have_in_common(tmp_path):
    touch(tmp_path, "a/b/1.jpg", "a/c/1.jpg")
    here = str(tmp_path)
    for patterns, root in (
        ([f"{here}/a"], f"{here}/a/"),
        ([f"{here}/a/b/1.jpg"], f"{here}/a/b/"),
        ([f"{here}/a/*/1.jpg"], f"{here}/a/"),
        ([f"{here}/a/b", f"{here}/a/c/*"], f"{here}/a/"),
        (["gs://x/a/*", "gs://x/b/"], "gs://x/"),
        (["gs://x/a/", "/a/*"], ""),
        (["*.jpg"], ""),
    ):
        assert matching.root(patterns) == root


def test_a_directory_of_an_object_store_ends_with_a_slash():
    assert matching.parted("gs://x/a/") == ("gs://x/a/", "**")
    assert matching.parted("gs://x/a/b.jpg") == ("gs://x/a/", "b.jpg")
    assert matching.parted("gs://x/a/*/b") == ("gs://x/a/", "*/b")
