"""What lies among the images and is none does not end a preparation."""

import json
import os
import socket

import numpy as np
import pytest

from pipeline import sources
from pipeline.prepare import prepare_images
from tests.support.preparation import (
    config,
    folder_config,
    records,
    write_folder,
)


def rejected(directory) -> dict[str, str]:
    lines = (directory / "rejected.jsonl").read_text().splitlines()
    rows = list(map(json.loads, lines))
    for row in rows:
        "".join(row.values()).encode()
    return {row["key"]: row["reason"] for row in rows}


def hostile(directory) -> set[str]:
    """Writes what is no image; returns the names as they are written."""
    os.mkfifo(directory / "pipe.jpg")
    os.symlink("nowhere", directory / "dangling.jpg")
    os.symlink("loop.jpg", directory / "loop.jpg")
    os.symlink("/dev/zero", directory / "zero.png")
    os.symlink(directory, directory / "up")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(directory / "socket.png"))
    with open(directory / "sparse.png", "wb") as file:
        file.truncate(3 << 30)
    (directory / "empty\n.png").touch()
    os.close(os.open(os.fsencode(directory) + b"/%\xe9.png", os.O_CREAT))
    (directory / "directory.jpg").mkdir()
    return {
        *("pipe.jpg", "dangling.jpg", "loop.jpg", "zero.png", "up/"),
        *("socket.png", "sparse.png", "empty\n.png", "%25%E9.png"),
    }


def test_hostile_files_of_a_folder_are_set_aside(tmp_path):
    write_folder(tmp_path / "in")
    names = hostile(tmp_path / "in" / "cat")
    bad = {f"cat/{name}" for name in names - {"%25%E9.png"}}
    bad.add("bytes:cat/%25%E9.png")
    data = folder_config(tmp_path / "in", max_rejected=0.5)
    manifest = prepare_images.prepare(data, tmp_path / "out")
    assert set(rejected(tmp_path / "out")) == bad
    assert manifest["rejected"] == len(bad)
    assert len(records(tmp_path / "out", manifest)) == 40


def test_hostile_rows_of_a_table_are_set_aside(tmp_path):
    write_folder(tmp_path / "in")
    hostile(tmp_path / "in" / "cat")
    bad = ["http://a/1.jpg", "s3://a/1.jpg", "x://1.jpg", "cat", "gone.jpg"]
    bad += ["cat/" + name for name in ("pipe.jpg", "socket.png", "sparse.png")]
    good = [f"{name}/{n:03}.png" for name in ("cat", "dog") for n in range(20)]
    lines = [f"{path},{path[:3]}" for path in good]
    lines += [f"{path},cat" for path in bad]
    (tmp_path / "in" / "t.csv").write_text("\n".join(["path,label", *lines]))
    options = {"path": str(tmp_path / "in" / "t.csv")}
    data = config("table", source_options=options, max_rejected=0.5)
    manifest = prepare_images.prepare(data, tmp_path / "out")
    reasons = rejected(tmp_path / "out")
    assert set(reasons) == set(bad)
    assert set(records(tmp_path / "out", manifest)) == set(good)
    assert "http://" in reasons["http://a/1.jpg"]


def test_a_folder_whose_name_is_not_utf8(tmp_path):
    root = tmp_path / os.fsdecode(b"\xe9")
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
    write_folder(tmp_path / "in")
    for path in (tmp_path / "in").glob("*/*"):
        os.rename(path, root / path.relative_to(tmp_path / "in"))
    data = folder_config(root)
    manifest = prepare_images.prepare(data, tmp_path / "out")
    assert len(records(tmp_path / "out", manifest)) == 40


NAMES = ["a\u2028b", "a\nb", "a\x85b", "a\x1bb", " a", "a "]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("name_of_source", ["image_folder", "table", "idx"])
def test_names_that_a_bundle_refuses_are_refused_first(
    tmp_path, monkeypatch, name_of_source, name
):
    monkeypatch.setattr(prepare_images, "_run", None)
    (tmp_path / "in").mkdir()
    if name_of_source == "image_folder":
        write_folder(tmp_path / "in", 2, ("cat", name))
        options = {"path": str(tmp_path / "in")}
    elif name_of_source == "table":
        rows = [{"path": "1", "label": "cat"}, {"path": "2", "label": name}]
        path = tmp_path / "in" / "t.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        options = {"path": str(path)}
    else:
        options = {"path": str(tmp_path / "in"), "classes": ["cat", name]}
    data = config(name_of_source, source_options=options)
    with pytest.raises(ValueError, match=r"`(labels|classes)` must"):
        prepare_images.prepare(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_source_finds_other_names():
    """`Found` itself refuses them, whichever source makes it."""
    with pytest.raises(ValueError, match="`labels`"):
        sources.Found(("cat", "a\u2028b"), (), 0)


def test_pixels_stay_as_they_are(tmp_path):
    """The files around an image do not change what is stored of it."""
    write_folder(tmp_path / "in")
    alone = prepare_images.prepare(
        folder_config(tmp_path / "in"), tmp_path / "a"
    )
    hostile(tmp_path / "in" / "dog")
    data = folder_config(tmp_path / "in", max_rejected=0.5)
    beside = prepare_images.prepare(data, tmp_path / "b")
    first, second = (
        records(tmp_path / name, manifest)
        for name, manifest in (("a", alone), ("b", beside))
    )
    assert first.keys() == second.keys()
    for key, (split, label, pixels) in first.items():
        assert second[key][:2] == (split, label)
        np.testing.assert_array_equal(second[key][2], pixels)
