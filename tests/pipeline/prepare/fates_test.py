"""What becomes of every file, and what a data set must have in the end."""

import types

import numpy as np
import pytest
from PIL import Image

from pipeline.cli import stage_verb
from pipeline.config import default
from pipeline.data import overview
from pipeline.prepare import prepare_images
from tests.support.preparation import (
    NO_FRACTIONS,
    contents,
    folder_config,
    records,
    write_folder,
)

SYSTEM = (".DS_Store", "cat/Thumbs.db", "cat/.ipynb_checkpoints/000.png")


def test_every_file_is_counted_by_class_and_split(tmp_path):
    root = tmp_path / "in"
    write_folder(root, 40)
    plain = prepare_images.prepare(folder_config(root), tmp_path / "plain")
    image = (root / "cat" / "000.png").read_bytes()
    for name in SYSTEM:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(image)
    (root / "dog" / "copy.png").write_bytes(image)
    (root / "dog" / "bad.png").write_bytes(b"no image")
    (root / "notes.txt").write_text("a note")
    data = folder_config(root, duplicates="drop")
    found = prepare_images.prepare(data, tmp_path / "out")
    assert (found["listed"], found["skipped"]) == (86, 3)
    assert found["rejected"] == 2
    assert found["left_out"]["rejected"] == [0, 1, 1]
    assert sum(found["left_out"]["dropped"]) == 1
    [pair] = found["conflicts"]
    assert set(pair) == {"cat/000.png", "dog/copy.png"}
    table = overview.text(found)
    assert "Skipped: 3" in table
    warned = overview.warnings(found, 0)
    assert any("dog/copy.png" in each for each in warned)
    # What lies beside images changes none of them.
    assert plain["counts"].keys() == found["counts"].keys()
    assert sum(found["counts"].values()) == 80


@pytest.mark.parametrize("count", [60, 10])
def test_one_bad_file_of_few_is_no_reason_to_stop(tmp_path, count):
    write_folder(tmp_path / "in", count // 2)
    (tmp_path / "in/cat/000.png").write_bytes(b"no image")
    options = {"fractions": NO_FRACTIONS, "untaught": "keep"}
    data = folder_config(tmp_path / "in", **options)
    found = prepare_images.prepare(data, tmp_path / "out")
    assert found["rejected"] == 1
    none = folder_config(tmp_path / "in", **options, max_rejected=0.0)
    with pytest.raises(ValueError, match=r"`data.max_rejected`"):
        prepare_images.prepare(none, tmp_path / "out")


def test_a_class_that_nothing_is_left_of_is_refused(tmp_path):
    write_folder(tmp_path / "in", 20, ("ant", "cat", "dog"))
    for number in range(1, 20):
        (tmp_path / f"in/ant/{number:03}.png").unlink()
    (tmp_path / "in/ant/000.png").write_bytes(b"no image")
    options = {"fractions": NO_FRACTIONS, "max_rejected": 0.5}
    data = folder_config(tmp_path / "in", **options)
    with pytest.raises(ValueError, match=r"`data.untaught`.*'ant': 0 to train"):
        prepare_images.prepare(data, tmp_path / "out")
    data = folder_config(tmp_path / "in", **options, untaught="keep")
    found = prepare_images.prepare(data, tmp_path / "out")
    warned = overview.warnings(found, 0)
    assert any("without images in train: 'ant'" in each for each in warned)


def test_a_class_of_five_images_is_refused(tmp_path):
    write_folder(tmp_path / "in", 40)
    write_folder(tmp_path / "in", 5, ("ant",))
    with pytest.raises(ValueError, match=r"`data.untaught`.*'ant': [2-5] to"):
        prepare_images.prepare(folder_config(tmp_path / "in"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_small_sets_get_splits_of_some_images(tmp_path):
    write_folder(tmp_path / "in", 60)
    fractions = dict.fromkeys(NO_FRACTIONS, 0.01)
    data = folder_config(tmp_path / "in", fractions=fractions, least=30)
    found = prepare_images.prepare(data, tmp_path / "out")
    for split in ("validation", "calibration", "test"):
        assert 10 <= found["counts"][split] <= 30
    prepare_images.prepare(data, tmp_path / "again")
    assert contents(tmp_path / "out") == contents(tmp_path / "again")


def test_the_verb_prints_the_table(tmp_path, capsys):
    write_folder(tmp_path / "in" / "train", 20)
    write_folder(tmp_path / "in" / "val", 5)
    (tmp_path / "in" / ".DS_Store").touch()
    config = default()
    config.data = folder_config(tmp_path / "in", fractions=NO_FRACTIONS).data
    flags = types.SimpleNamespace(config=config, workdir=str(tmp_path / "w"))
    stage_verb.run("prepare", flags, [])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[:4]] == [
        ["class", "train", "validation"],
        ["cat", "20", "5"],
        ["dog", "20", "5"],
        ["all", "40", "10"],
    ]
    assert lines[4] == "Skipped: 1 hidden or system files."


@pytest.mark.parametrize("storage", ["raw", "encoded"])
def test_more_formats_are_prepared(tmp_path, storage):
    write_folder(tmp_path / "in", 20)
    pixels = np.full((8, 8, 3), 77, np.uint8)
    suffixes = ("webp", "bmp", "tif", "tiff", "gif")
    for number, suffix in enumerate(suffixes):
        pixels[0, 0] = number
        Image.fromarray(pixels).save(
            tmp_path / f"in/cat/{suffix}.{suffix}", lossless=True
        )
    options = {"channels": 3, "storage": storage, "fractions": NO_FRACTIONS}
    data = folder_config(tmp_path / "in", **options)
    found = prepare_images.prepare(data, tmp_path / "out")
    assert found["rejected"] == 0
    kept = records(tmp_path / "out", found)
    for number, suffix in enumerate(suffixes):
        shown = kept[f"cat/{suffix}.{suffix}"][2]
        assert shown[4, 4].tolist() == [77, 77, 77]
        assert shown[0, 0].tolist() == [number] * 3
    some = folder_config(
        tmp_path / "in", **options, formats=("PNG",), max_rejected=0.2
    )
    found = prepare_images.prepare(some, tmp_path / "out")
    assert found["rejected"] == len(suffixes)
