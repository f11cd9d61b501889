"""Which jobs a sweep is made of."""

import pathlib

import pytest

from pipeline.results.versions import VERSIONS
from pipeline.sweep import sweep_experiments

_TINY = str(pathlib.Path(__file__).parents[2] / "support" / "tiny_config.py")


def test_every_combination_is_a_job():
    jobs = sweep_experiments.plan(
        ["ranet_digits", _TINY],
        "/sweep",
        seeds=[3, 4],
        overrides={
            "train.learning_rate": ["0.1", "0.05"],
            "train.milestones": ["(0.2, 0.3)"],
        },
    )
    assert len(jobs) == len({job.name for job in jobs}) == 8
    assert len({job.fingerprint for job in jobs}) == 8
    assert len({job.group for job in jobs}) == 4
    job = jobs[-1]
    assert job.group == (
        "tiny_config train.learning_rate=0.05 train.milestones=(0.2, 0.3)"
    )
    assert job.name == (
        "tiny_config-train.learning_rate=0.05-train.milestones=_0.2,-0.3_"
        "-seed=4"
    )
    assert job.directory == f"/sweep/jobs/{job.name}"
    assert job.stages == ("prepare", "train", "evaluate")
    assert job.settings["seed"] == 4
    assert job.settings["train"]["learning_rate"] == 0.05
    assert job.settings["train"]["milestones"] == (0.2, 0.3)
    # A configuration's data is prepared once.
    assert len({job.data.name for job in jobs}) == 2
    assert all(job.data is jobs[0].data for job in jobs[:4])
    assert jobs[0].data.stages == ("prepare",)


def test_the_seed_is_the_configured_one_if_none_is_given():
    [job] = sweep_experiments.plan([_TINY], "/sweep")
    assert (job.seed, job.group) == (0, "tiny_config")


def test_the_data_goes_to_one_directory_of_the_sweep():
    first, second = sweep_experiments.plan([_TINY], "/sweep", seeds=[0, 1])
    where = first.settings["data"]["directory"]
    assert where == second.settings["data"]["directory"]
    assert where == first.data.settings["data"]["directory"]
    assert pathlib.Path(where).parent == pathlib.Path("/sweep/data")


def test_data_that_is_elsewhere_stays_there():
    [job] = sweep_experiments.plan(
        [_TINY], "/sweep", overrides={"data.directory": ["/digits"]}
    )
    assert job.settings["data"]["directory"] == "/digits"
    assert job.data.settings["data"]["directory"] == "/digits"


def test_other_data_is_prepared_for_itself():
    jobs = sweep_experiments.plan(
        [_TINY], "/sweep", overrides={"data.seed": ["0", "1"]}
    )
    assert jobs[0].data.directory != jobs[1].data.directory
    assert jobs[0].data.fingerprint != jobs[1].data.fingerprint


def test_a_result_does_not_depend_on_where_it_is():
    [here], [there] = (
        sweep_experiments.plan([_TINY], path) for path in ("/a", "/b")
    )
    assert here.fingerprint == there.fingerprint
    assert here.directory != there.directory


@pytest.mark.parametrize("stage", ["prepare", "train", "evaluate"])
def test_other_code_gives_another_result(stage, monkeypatch):
    [before] = sweep_experiments.plan([_TINY], "/sweep")
    monkeypatch.setitem(VERSIONS, stage, VERSIONS[stage] + 1)
    [after] = sweep_experiments.plan([_TINY], "/sweep")
    assert after.fingerprint != before.fingerprint
    # The old data set stays where it was.
    assert (after.data.directory != before.data.directory) == (
        stage == "prepare"
    )


def test_long_names_are_cut():
    values = ["0." + "1" * 150, "0." + "1" * 151]
    jobs = sweep_experiments.plan(
        [_TINY], "/sweep", overrides={"train.learning_rate": values}
    )
    assert len({job.name for job in jobs}) == 2
    assert all(len(job.name) < 200 for job in jobs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"configs": ["ranet_digit"]}, "Did you mean 'ranet_digits'?"),
        ({"seeds": [1, 1]}, "Received twice: ranet_digits-seed=1"),
        ({"overrides": {"train.epoch": ["1"]}}, "Did you mean config.train.ep"),
        ({"overrides": {"train.epochs": ["x"]}}, "invalid literal for int"),
    ],
)
def test_what_cannot_be_planned(changes, message):
    with pytest.raises(ValueError) as error:
        sweep_experiments.plan(
            **{"configs": ["ranet_digits"], "directory": "/s"} | changes
        )
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"stages": ("prepare", "train")}, "stages"),
        ({"stages": ("train", "evaluate")}, "stages"),
        ({"stages": ("prepare", "train", "evaluate", "convert")}, "stages"),
        ({"stages": ("prepare", "trian", "evaluate")}, "stages"),
        ({"timeout": 0.0}, "timeout"),
        ({"attempts": 0}, "attempts"),
    ],
)
def test_terms_that_cannot_be(changes, name):
    with pytest.raises(ValueError, match=f"`{name}` must"):
        sweep_experiments.Terms(**changes)
