import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import pipeline
from pipeline import Experiment, config, stages
from pipeline.data import image
from pipeline.policies import refit
from tests.support import finished_run, small_bundle, tiny_bundle
from tflite import bundle

NAME = "ranet_cifar10_model1"


@pytest.fixture
def ran(monkeypatch):
    """Puts a note of what is to run in the place of the stages."""
    calls = []

    def run(settings, layout, names, **options):
        calls.append((settings.name, layout.root, names, options))
        return {name: f"made by {name}" for name in names}

    monkeypatch.setattr(stages, "run", run)
    return calls


def test_a_stage_always_runs_and_gives_what_it_made(tmp_path, ran):
    experiment = Experiment(tmp_path, NAME)
    for name in stages.STAGES:
        made = getattr(experiment, name)()
        expected = f"made by {name}"
        if name == "report":
            expected = experiment.layout.report
        assert made == expected
        called, root, names, options = ran.pop()
        assert (called, root, names) == (NAME, tmp_path, (name,))
        assert not options["skip_finished"]


def test_a_run_is_all_stages_whose_inputs_changed(tmp_path, ran):
    made = Experiment(tmp_path, NAME).run()
    assert list(made) == list(stages.STAGES)
    [(_, _, names, options)] = ran
    assert names == tuple(stages.STAGES)
    assert options == {"skip_finished": True}


def test_arguments_of_single_stages(tmp_path, ran):
    experiment = Experiment(tmp_path, NAME)
    experiment.prepare(["--direct_num_workers=2"])
    experiment.report([tmp_path / "other"])
    assert [options["arguments"] for *_, options in ran] == [
        {"prepare": {"beam_args": ["--direct_num_workers=2"]}},
        {"report": {"others": [tmp_path / "other"]}},
    ]


def test_a_name_a_file_and_a_configuration_are_the_same(tmp_path):
    loaded = config.load(NAME)
    by_name = Experiment(tmp_path, NAME).config
    assert by_name == loaded
    by_value = Experiment(tmp_path, loaded, overrides={"train.epochs": 7})
    assert by_value.config.train.epochs == 7
    assert loaded == by_name
    (tmp_path / "mine.py").write_text(
        "import pipeline.config\n"
        "def get_config():\n"
        f"    return pipeline.config.load({NAME!r})\n"
    )
    assert Experiment(tmp_path, str(tmp_path / "mine.py")).config == loaded


def test_a_directory_remembers_its_configuration(tmp_path):
    with pytest.raises(ValueError, match="`config`"):
        Experiment(tmp_path)
    finished_run.write(tmp_path, NAME)
    found = Experiment(tmp_path, overrides={"train.milestones": (0.5,)})
    expected = config.load(NAME)
    expected.train.milestones = (0.5,)
    assert found.config == expected


def test_images_bring_their_classes_a_name_and_test_images(tmp_path):
    built_in = config.load(NAME)
    assert built_in.data.fractions.test == 0.0
    workdir = tmp_path / "photos"
    found = Experiment(workdir, NAME, images=tmp_path / "folder").config
    assert found.name == "photos"
    assert found.data.source == "image_folder"
    assert found.data.source_options.to_dict() == {
        "path": str(tmp_path / "folder")
    }
    assert found.model.classes == 0
    assert found.data.fractions.test == 0.1
    kept = Experiment(
        workdir,
        "ranet_digits",
        images="folder",
        overrides={"data.fractions.validation": 0.2, "name": "mine"},
    ).config
    assert kept.data.fractions.test == 0.2
    assert kept.data.fractions.validation == 0.2
    assert kept.name == "mine"


def test_an_override_may_be_a_section(tmp_path):
    arguments = {"scales": (1, 2), "channels": 8}
    overrides = {"model.arguments": arguments, "train.epochs": 1}
    found = Experiment(tmp_path, NAME, overrides=overrides).config
    assert found.model.arguments.to_dict() == arguments
    assert found.is_locked


@pytest.mark.parametrize(
    ("overrides", "where"),
    [
        ({"train.epoch": 1}, "`config.train`"),
        ({"train.epochs.more": 1}, "`config.train.epochs`"),
        ({"train.epochs": "many"}, "`overrides`"),
    ],
)
def test_overrides_that_do_not_fit(tmp_path, overrides, where):
    with pytest.raises(config.ConfigError, match=where):
        Experiment(tmp_path, NAME, overrides=overrides)


def test_another_family_begins_without_arguments(tmp_path):
    overrides = {"model.family": "resnet", "model.arguments.blocks": 2}
    found = Experiment(tmp_path, NAME, overrides=overrides).config
    assert found.model.arguments.to_dict() == {"blocks": 2}
    same = Experiment(tmp_path, NAME, overrides={"model.family": "ranet"})
    assert same.config.model == config.load(NAME).model


def test_images_alone_have_the_configuration_for_photographs(tmp_path):
    found = Experiment(tmp_path / "mine", images=tmp_path).config
    expected = config.load("photos")
    assert found.model == expected.model
    assert found.train.to_dict() == expected.train.to_dict()


def test_metrics_are_frozen_rows(tmp_path):
    experiment = Experiment(tmp_path, NAME)
    with pytest.raises(ValueError, match="keras-dynamic evaluate"):
        _ = experiment.metrics
    finished_run.write(tmp_path, NAME)
    found = experiment.metrics
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert [row.madds for row in found.exits] == list(finished_run.MADDS)
    for row, expected in zip(found.exits, written["exits"], strict=True):
        assert dict(row.accuracy) == expected["accuracy"]
        assert row.latency_ms is None
        with pytest.raises(dataclasses.FrozenInstanceError):
            row.madds = 0
    assert found.policies == ()
    assert found.mismatches is None


def test_metrics_of_all_stages(tmp_path):
    finished_run.write(tmp_path, NAME)
    path = tmp_path / "metrics.json"
    written = json.loads(path.read_text())
    times = {"mean": 2.0, "p50": 1.5, "p90": 2.5, "p99": 3.0}
    written["exits"][0]["latency_ms"] = times
    written["chain"] = {"samples": 9, "mismatches": 0}
    written["routed"] = [
        {
            "policy": "accuracy_drop",
            "target": 0.5,
            "bundle": True,
            "accuracy": 0.9,
            "mean_madds": 1e6,
            "exit_shares": [0.5, 0.25, 0.25],
        }
    ]
    path.write_text(json.dumps(written))
    found = Experiment(tmp_path).metrics
    assert found.exits[0].latency_ms == 1.5
    assert found.mismatches == 0
    [policy] = found.policies
    assert policy.ships
    assert policy.exit_shares == (0.5, 0.25, 0.25)


def test_another_operating_point(tmp_path):
    small_bundle.write(tmp_path / "bundle")
    shipped = Experiment(tmp_path, NAME).bundle
    own = shipped.read()
    found = shipped.refit("fast", max_drop=0.02)
    expected = refit.refit(own, max_drop=0.02)
    assert found == expected
    after = shipped.read()
    assert after.policy == own.policy
    assert after.operating_points == {"fast": expected.policy}
    shipped.refit(budget_madds=200.0)
    assert shipped.read().policy.fitted["budget"] == 200.0
    assert shipped.read().operating_points == after.operating_points


@pytest.mark.parametrize(
    ("asked", "argument"),
    [
        ({}, "`max_drop`"),
        ({"max_drop": 0.1, "budget_ms": 1.0}, "`budget_ms`"),
        ({"budget_madds": 200.0, "exit_ms": [1, 2, 3]}, "`exit_ms`"),
        ({"max_drop": 0.1, "name": "Fast"}, "`name`"),
    ],
)
def test_refitting_that_cannot_be_done(tmp_path, asked, argument):
    small_bundle.write(tmp_path / "bundle")
    shipped = Experiment(tmp_path, NAME).bundle
    before = shipped.read()
    with pytest.raises(ValueError, match=argument):
        shipped.refit(**asked)
    assert shipped.read() == before


@pytest.fixture(scope="module")
def cropping(tmp_path_factory):
    """An experiment whose bundle sees the centre of a larger image."""
    directory = tmp_path_factory.mktemp("cropping")
    tiny_bundle.write(directory / "bundle", stored=tiny_bundle.SIZE + 4)
    return Experiment(directory, NAME)


def test_a_file_and_its_pixels_are_the_same_photo(cropping, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 44, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    stored = image.fit(Image.fromarray(pixels), tiny_bundle.SIZE + 4, 3)
    with cropping.bundle.harness() as harness:
        expected = harness.classify(stored[2:-2, 2:-2])
    for photo in (tmp_path / "photo.png", str(tmp_path / "photo.png"), pixels):
        found = cropping.bundle.classify(photo)
        np.testing.assert_array_equal(
            found.probabilities, expected.probabilities
        )
        assert (found.label, found.exit) == (expected.label, expected.exit)


def test_grey_pixels_are_a_photo_too(cropping):
    grey = np.random.default_rng(1).integers(0, 256, (20, 20), np.uint8)
    coloured = np.stack([grey] * 3, axis=-1)
    expected = cropping.bundle.classify(coloured).probabilities
    for photo in (grey, grey[..., None]):
        found = cropping.bundle.classify(photo).probabilities
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "photo",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8, 5), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
    ],
    ids=["float", "five channels", "a batch", "empty"],
)
def test_pixels_that_are_no_photo(cropping, photo):
    with pytest.raises(ValueError, match="`photo`"):
        cropping.bundle.classify(photo)


def test_there_is_no_bundle(tmp_path, cropping):
    shutil.copytree(cropping.layout.bundle, tmp_path / "bundle")
    (tmp_path / "bundle" / "manifest.json").unlink()
    with pytest.raises((bundle.InvalidBundle, OSError)):
        Experiment(tmp_path, NAME).bundle.read()


def test_nothing_heavy_is_imported_before_a_stage_runs(tmp_path):
    code = (
        "import sys, pipeline\n"
        "print(*sys.modules)\n"
        f"pipeline.Experiment({str(tmp_path)!r}, {NAME!r})\n"
        "assert not {'keras', 'tensorflow', 'apache_beam'} & {*sys.modules}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    )
    assert done.returncode == 0
    assert {"numpy", "ml_collections"}.isdisjoint(done.stdout.split())


def test_every_public_name_is_there():
    assert set(pipeline.__all__) <= set(dir(pipeline))
    for name in pipeline.__all__:
        assert getattr(pipeline, name).__name__.rpartition(".")[2] == name
    with pytest.raises(AttributeError, match="experimnt"):
        _ = pipeline.experimnt
