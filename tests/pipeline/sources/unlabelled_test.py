"""Images of a folder without classes train exits on a finished network."""

import pathlib

import keras
import ml_collections
import numpy as np
import pytest

from pipeline import config
from pipeline.data import dataset, manifest, overview
from pipeline.prepare import prepare_images
from pipeline.results.layout import Layout
from pipeline.sources.image_folder import ImageFolder
from pipeline.training import foresight, train
from tests.support import preparation
from tests.support.preparation import records, write_folder

ARGUMENTS = {
    "stem_width": 4,
    "widths": (4, 8),
    "depths": (1, 1),
    "residual": (),
    "head_widths": ((), ()),
}


@pytest.fixture
def folders(tmp_path):
    """Two classes, and images below directories that are none."""
    write_folder(tmp_path / "known", 40)
    write_folder(tmp_path / "more", 15, ("2024", "2025/may"))
    (tmp_path / "more" / "notes.txt").write_text("a note")
    return {
        "path": str(tmp_path / "known"),
        "unlabelled": str(tmp_path / "more"),
    }


def test_they_are_trained_on_and_counted_apart(folders, tmp_path):
    settings = preparation.config("image_folder", source_options=folders)
    made = prepare_images.prepare(settings, tmp_path / "out")
    assert (made["listed"], made["rejected"]) == (111, 1)
    found = records(tmp_path / "out", made)
    unknown = [key for key, (_, label, _) in found.items() if label == 2]
    assert len(unknown) == 30
    assert {found[key][0] for key in unknown} == {"train"}
    counts = made["statistics"]["train"]["classes"]
    assert made["counts"]["train"] - sum(counts) == 30
    assert "no class" in overview.text(made)
    images = dataset.load(tmp_path / "out", "train")
    assert (images.labels == 2).sum() == 30


def test_the_state_follows_both_folders(folders):
    both = ImageFolder(**folders)
    before = both.state()
    assert before != ImageFolder(folders["path"]).state()
    write_folder(pathlib.Path(both.unlabelled) / "later", 1)
    assert ImageFolder(**folders).state() != before


@pytest.mark.parametrize("missing", [True, False])
def test_the_folder_must_hold_images(folders, tmp_path, missing):
    if not missing:
        (tmp_path / "empty").mkdir()
    given = {**folders, "unlabelled": str(tmp_path / "empty")}
    with pytest.raises(ValueError, match="`unlabelled`"):
        ImageFolder(**given).find()


def settings(folders, **changes):
    found = config.default()
    with found.unlocked():
        found.data.update(
            preparation.config("image_folder", source_options=folders).data
        )
        found.data.channels = 3
        found.model.family, found.model.size = "vgg", 8
        found.model.arguments = ml_collections.ConfigDict(ARGUMENTS)
        found.train.epochs, found.train.batch_size = 2, 16
        found.train.augmentation = "none"
        for name, value in changes.items():
            found.train[name] = value
    return config.validated(found)


def test_an_objective_that_needs_labels_is_refused(folders, tmp_path):
    chosen = settings(folders)
    with pytest.raises(ValueError, match=r"`train.objective`.*layer_caching"):
        foresight.check(chosen)
    layout = Layout(tmp_path / "work")
    prepare_images.stage(chosen, layout)
    with pytest.raises(ValueError, match=r"`train.objective`.*layer_caching"):
        train.train(chosen, layout)


def test_exits_learn_the_last_one_without_labels(folders, tmp_path):
    known = settings({"path": folders["path"]})
    first = Layout(tmp_path / "first")
    prepare_images.stage(known, first)
    path = train.train(known, first).model
    chosen = settings(
        folders,
        objective="layer_caching",
        freeze="backbone",
        initial_weights=str(path),
        label_smoothing=0.1,
    )
    layout = Layout(tmp_path / "second")
    prepare_images.stage(chosen, layout)
    foresight.check(chosen)
    made = train.train(chosen, layout)
    assert all(np.isfinite(each["train/loss"]) for each in made.history)
    labels = manifest.read(layout.data)["labels"]
    pixels = np.random.default_rng(1).random((5, 8, 8, 3), np.float32)
    before, after = (
        keras.models.load_model(each).predict_on_batch(pixels)
        for each in (path, made.model)
    )
    assert after[0].shape == (5, len(labels))
    np.testing.assert_array_equal(before[-1], after[-1])
    assert np.abs(before[0] - after[0]).max() > 1e-4
