"""Every block of Python in the pages runs, a page from its top to its end."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

import pipeline
from pipeline import Experiment
from tests.support import markdown_blocks

# Pages whose blocks take longer: they prepare data, convert models.
_SLOW = ("README.md", "docs/data.md", "docs/quantization.md")

# What makes the work of an experiment smaller than a page says.
_SHORT = {
    "data.size": 20,
    "model.size": 16,
    "model.family": "vgg",
    "model.arguments": {"stem_width": 8, "widths": (8, 8), "depths": (1, 1)},
    "train.objective_arguments": {},
    "train.stages": (),
    "train.optimizer": "sgd",
    "train.learning_rate": 0.15,
    "train.epochs": 6,
    "train.batch_size": 16,
    "train.average_decay": 0.0,
    "quantize.steps": 5,
    "benchmark.runs": 10,
    "benchmark.starts": 1,
    "benchmark.threads": (1,),
}


class _ShortExperiment(Experiment):
    """An experiment that trains for a moment."""

    def __init__(self, *arguments, overrides, **others):
        overrides = {**overrides, **_SHORT}
        super().__init__(*arguments, overrides=overrides, **others)


def _bundle(directory):
    from tests.support import tiny_bundle

    pathlib.Path(directory).parent.mkdir(parents=True)
    tiny_bundle.write(directory)
    return tiny_bundle.images(20)


def _readme():
    """Makes photos of two classes: red discs, blue squares."""
    rng = np.random.default_rng(0)

    def photo(kind):
        left, top, side, shade, paper = map(
            int, rng.integers((4, 4, 18, 160, 200), (20, 12, 26, 256, 256))
        )
        image = Image.new("RGB", (64, 48), (paper,) * 3)
        corners = (left, top, left + side, top + side)
        draw = ImageDraw.Draw(image)
        if kind == "disc":
            draw.ellipse(corners, fill=(shade, 0, 0))
        else:
            draw.rectangle(corners, fill=(0, 0, shade))
        return image

    for kind in ("disc", "square"):
        directory = pathlib.Path("photos") / kind
        directory.mkdir(parents=True)
        for number in range(80):
            photo(kind).save(directory / f"{number}.jpg")
    photo("square").save("photo.jpg")


def _device():
    np.save("images.npy", _bundle("runs/demo/bundle"))


def _data():
    program = "from pipeline.cli import main; main.main()"
    flags = ["prepare", "--config=ranet_digits", "--workdir=."]
    subprocess.run([sys.executable, "-c", program, *flags], check=True)


def _models():
    import keras
    import ml_collections

    from keras_dynamic import models

    model = models.build(
        "lcnet",
        input_shape=(16, 16, 3),
        classes=4,
        backbone={"family": "resnet", "blocks": 1},
    )
    images = np.random.default_rng(0).random((5, 16, 16, 3), np.float32)
    return {
        "keras": keras,
        "ml_collections": ml_collections,
        "model": model,
        "images": images,
    }


def _policies():
    rng = np.random.default_rng(0)
    labels, test_labels = rng.integers(0, 4, (2, 300))

    def logits(labels):
        return [
            rng.normal(0, 1, (300, 4)) + strength * np.eye(4)[labels]
            for strength in (1, 2, 4)
        ]

    return {
        "labels": labels,
        "logits": logits(labels),
        "test_labels": test_labels,
        "test_logits": logits(test_labels),
        "costs": (5e6, 15e6, 40e6),
    }


@pytest.fixture(autouse=True)
def _families():
    """Forgets the families that a page registers."""
    from keras_dynamic import models

    before = {*models._ALL}
    yield
    for name in {*models._ALL} - before:
        del models._ALL[name]


# What a page takes as given: files in the directory where it runs, and names.
_GIVEN = {
    "README.md": _readme,
    "docs/bundle.md": lambda: _bundle("runs/demo/bundle"),
    "docs/data.md": _data,
    "docs/device.md": _device,
    "docs/models.md": _models,
    "docs/policies.md": _policies,
    "docs/scoring.md": lambda: _bundle("runs/photos/bundle"),
}


def _holds(page, names):
    """Whether what a block says of a configuration can be carried out."""
    from pipeline import config, sources
    from pipeline.training import network

    if page == "docs/configuration.md" and "get_config" in names:
        config.validated(names["get_config"]())
    if page == "README.md" and "photos" in names:
        shipped = names["photos"].bundle
        assert list(shipped.read().operating_points) == ["fast"]
        assert shipped.classify("photo.jpg").label == "square"
    if page == "docs/sources.md":
        data = names["config"].data
        sources.build(data.source, **data.source_options)
    if page == "docs/models.md" and names["config"].model.arguments:
        network.build(names["config"], 10)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] * (page in _SLOW))
        for page in markdown_blocks.pages("python")
    ],
)
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    from pipeline import config

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline, "Experiment", _ShortExperiment)
    given = _GIVEN.get(page, dict)()
    names = {"__name__": "page", **(given if isinstance(given, dict) else {})}
    for block in markdown_blocks.blocks(page, "python"):
        if block.not_run:
            continue
        names["config"] = config.default()
        exec(block.compiled(), names)
        _holds(page, names)


def test_few_blocks_are_not_run():
    every = [
        block
        for page in markdown_blocks.pages("python")
        for block in markdown_blocks.blocks(page, "python")
    ]
    assert len(every) > 20
    assert [block for block in every if block.not_run] == []
