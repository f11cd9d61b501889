import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import apache_beam as beam
import pytest
from absl import logging
from apache_beam.portability.api import beam_runner_api_pb2

from pipeline.cli import launch, sweep_verb
from pipeline.sweep import sweep_experiments, sweep_job
from tests.support import object_store

_TINY = str(pathlib.Path(__file__).parents[2] / "support" / "tiny_config.py")

# A stage that takes no time: notes that it ran, waits while there is a file
# `hold-SEED`, fails if there is one `fail-STAGE-SEED`, and is as accurate as
# its learning rate.
_FAKE = """
import json, os, pathlib, sys, time
stage = sys.argv[1]
work = pathlib.Path(sys.argv[3].removeprefix("--workdir="))
note = json.loads((work.parent / "job.json").read_text())
settings, seed = note["settings"], note["seed"]
root = work.parents[2]
with open(root / "ran", "a") as file:
    file.write(f"{stage} {note['name']} {os.getpid()}\\n")
while (root / f"hold-{seed}").exists():
    time.sleep(0.05)
if (root / f"fail-{stage}-{seed}").exists():
    sys.exit(f"{stage} of seed {seed} is not for today")
if stage == "prepare":
    directory = pathlib.Path(settings["data"]["directory"])
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "manifest.json").touch()
if stage == "evaluate":
    accuracy = settings["train"]["learning_rate"] + seed / 10
    metrics = {"format_version": 1, "exits": [
        {"exit": 0, "madds": 10**6, "accuracy": {"float": accuracy}},
        {"exit": 1, "madds": 2 * 10**6,
         "accuracy": {"float": min(1, accuracy + 0.5)}}]}
    (work / "metrics.json").write_text(json.dumps(metrics))
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts the fake stages where `keras-dynamic` would be."""
    path = tmp_path / "fake.py"
    path.write_text(_FAKE)
    stage = [sys.executable, str(path)]
    monkeypatch.setattr(sweep_job, "keras_dynamic", lambda: stage)
    return stage


@pytest.fixture
def root(tmp_path) -> pathlib.Path:
    path = tmp_path / "sweep"
    path.mkdir()
    return path


def parsed(*arguments):
    """The flags of the command."""
    values = launch.parameters("sweep")
    values(["sweep", *arguments])
    return values


def run(root, *arguments, beam_args=()):
    arguments = [f"--config={_TINY}", f"--output={root}", *arguments]
    sweep_verb.run(parsed(*arguments), [], list(beam_args))


def ran(root, *stages) -> list[str]:
    """The jobs of which some stages have run, sorted."""
    lines = (root / "ran").read_text().splitlines()
    return sorted(
        line.split()[1] for line in lines if line.split()[0] in stages
    )


def test_all_jobs_run_and_are_compared(root, fake, capsys):
    run(
        root,
        "--seeds=0,1",
        "--set=train.learning_rate=0.1,0.2",
        "--budget=1e6,2e6",
    )
    assert len(ran(root, "train")) == 4
    assert len(set(ran(root, "train"))) == 4
    [data] = {name for name in ran(root, "prepare") if "prepare-" in name}
    assert ran(root, "prepare").count(data) == 1
    summary = json.loads((root / "sweep.json").read_text())
    assert [job["name"] for job in summary["jobs"]] == ran(root, "evaluate")
    assert summary == sweep_experiments.read(str(root))
    first, second = summary["tables"]
    assert (first["budget"], second["budget"]) == (1e6, 2e6)
    row = first["rows"][0]
    assert row["group"] == "tiny_config train.learning_rate=0.2"
    assert row["accuracy"] == pytest.approx(0.25)
    assert row["deviation"] == pytest.approx(0.1 / 2**0.5)
    shown = capsys.readouterr().out
    assert shown == sweep_experiments.text(summary) + "\n"
    assert "best within 1 M multiply-adds:" in shown
    assert "75.00 ± 7.07" in shown


def test_nothing_is_run_twice_and_a_sweep_can_grow(root, fake, caplog):
    run(root, "--seeds=0,1")
    before = (root / "ran").read_text()
    run(root, "--seeds=0,1")
    assert (root / "ran").read_text() == before
    caplog.set_level("INFO")
    logging.set_verbosity(logging.INFO)
    run(root, "--seeds=0,1,2")
    assert ran(root, "train") == [f"tiny_config-seed={i}" for i in range(3)]
    assert "3 jobs, 2 of them done before" in caplog.text
    assert "3/3 done, tiny_config-seed=2: 80.00 % (exit 1, float), " in (
        caplog.text
    )


def test_a_job_that_fails_stops_no_other(root, fake, capsys):
    (root / "fail-train-1").touch()
    with pytest.raises(ValueError) as error:
        run(root, "--seeds=0,1,2", "--attempts=3")
    assert str(error.value) == (
        "1 of 3 jobs failed: tiny_config-seed=1 (train ended with exit code "
        "1: train of seed 1 is not for today)"
    )
    assert ran(root, "train").count("tiny_config-seed=1") == 3
    assert ran(root, "evaluate") == ["tiny_config-seed=0", "tiny_config-seed=2"]
    assert "      2  tiny_config" in capsys.readouterr().out
    (root / "fail-train-1").unlink()
    run(root, "--seeds=0,1,2")
    assert ran(root, "evaluate") == [f"tiny_config-seed={i}" for i in range(3)]
    assert ran(root, "train").count("tiny_config-seed=0") == 1


def test_data_that_cannot_be_prepared_fails_its_jobs(root, fake):
    (root / "fail-prepare-7").touch()
    with pytest.raises(ValueError) as error:
        run(root, "--seeds=0,1", "--set=data.seed=5,7")
    assert str(error.value).startswith("2 of 4 jobs failed: ")
    assert "its data is not there: prepare ended with exit code 1" in (
        str(error.value)
    )
    assert len(ran(root, "train")) == 2


def test_a_job_out_of_time_has_failed(root, fake):
    (root / "hold-1").touch()
    with pytest.raises(ValueError) as error:
        run(root, "--seeds=0,1", "--timeout=2", "--attempts=5")
    assert "1 of 2 jobs failed: tiny_config-seed=1 (prepare reached the" in (
        str(error.value)
    )


@pytest.mark.parametrize(
    "beam_args",
    [
        ["--direct_num_workers=2", "--direct_running_mode=multi_threading"],
        [
            "--runner=PortableRunner",
            "--job_endpoint=embed",
            "--environment_type=LOOPBACK",
        ],
    ],
)
def test_other_ways_to_run(root, fake, beam_args):
    run(
        root, "--seeds=0,1", "--accelerator=type:a;count:1", beam_args=beam_args
    )
    assert len(sweep_experiments.read(str(root))["jobs"]) == 2
    assert ran(root, "train") == ["tiny_config-seed=0", "tiny_config-seed=1"]


def test_two_workers_run_two_jobs_at_once(root, fake):
    # Each waits for the other to have begun.
    meet = """
if stage == "train":
    (root / f"here-{seed}").touch()
    while not (root / f"here-{1 - seed}").exists():
        time.sleep(0.05)
"""
    with open(fake[1], "a") as file:
        file.write(meet)
    run(
        root,
        "--seeds=0,1",
        "--timeout=60",
        beam_args=[
            "--direct_num_workers=2",
            "--direct_running_mode=multi_threading",
        ],
    )
    assert all(
        sweep_job.succeeded(job)
        for job in sweep_experiments.read(str(root))["jobs"]
    )


def test_a_killed_sweep_leaves_no_process_and_goes_on(root, fake):
    (root / "hold-1").touch()
    arguments = [f"--config={_TINY}", f"--output={root}", "--seeds=0,1"]
    driver = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from pipeline.cli import main\n"
            "from pipeline.sweep import sweep_job\n"
            f"sweep_job.keras_dynamic = lambda: {fake!r}\n"
            "main.main()",
            "sweep",
            *arguments,
            "--",
            "--direct_num_workers=2",
            "--direct_running_mode=multi_threading",
        ],
        stderr=subprocess.DEVNULL,
    )
    done = root / "jobs" / "tiny_config-seed=0" / "result.json"
    for _ in range(1200):
        if done.exists() and "tiny_config-seed=1" in ran(root, "prepare"):
            break
        assert driver.poll() is None
        time.sleep(0.1)
    else:
        driver.kill()
        pytest.fail("the first job has not ended in two minutes")
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    [last] = [
        int(line.split()[2])
        for line in (root / "ran").read_text().splitlines()
        if "tiny_config-seed=1" in line
    ]
    for _ in range(100):
        if not pathlib.Path(f"/proc/{last}").exists():
            break
        time.sleep(0.1)
    else:
        pytest.fail("a job has outlived its sweep")
    (root / "hold-1").unlink()
    run(root, "--seeds=0,1")
    assert ran(root, "train") == ["tiny_config-seed=0", "tiny_config-seed=1"]
    assert len(sweep_experiments.read(str(root))["jobs"]) == 2


def test_in_an_object_store(fake):
    # A stage does not run below the directory of the sweep there.
    script = pathlib.Path(fake[1])
    script.write_text(
        script.read_text()
        .replace("work.parents[2]", "work.parent")
        .replace('stage == "prepare"', "False")
    )
    with object_store.bucket() as store:
        run(f"{store}/sweep", "--seeds=0,1")
        summary = sweep_experiments.read(f"{store}/sweep")
        jobs = sweep_experiments.plan([_TINY], f"{store}/sweep", seeds=[0, 1])
        found = [sweep_job.outcome(job) for job in jobs]
    assert found == summary["jobs"]
    assert all(sweep_job.succeeded(job) for job in found)
    where = jobs[0].settings["data"]["directory"]
    assert where.startswith(f"{store}/sweep/data/")


@pytest.fixture
def dataflow(tmp_path) -> list[str]:
    """Beam's options to write a Dataflow job to files."""
    places = {}
    for name in ("template", "temp", "staging"):
        (tmp_path / name).mkdir()
        places[name] = f"{tmp_path / name}"
    places["template"] += "/job.json"
    return [
        "--runner=DataflowRunner",
        "--project=my-project",
        "--region=us-central1",
        "--no_auth",
        "--dataflow_endpoint=http://localhost:9",
        *(f"--{name}_location={path}" for name, path in places.items()),
    ]


def test_a_dataflow_job_is_staged_with_the_accelerator_for_training(
    tmp_path, dataflow
):
    accelerator = "type:nvidia-tesla-t4;count:1;install-nvidia-driver"
    run(
        "gs://bucket/sweep",
        "--seeds=0,1",
        f"--accelerator={accelerator}",
        beam_args=dataflow,
    )
    assert json.loads((tmp_path / "template" / "job.json").read_text())
    graph = tmp_path / "staging" / "pipeline.pb"
    staged = beam_runner_api_pb2.Pipeline.FromString(graph.read_bytes())
    environments = staged.components.environments
    hint = "beam:resources:accelerator:v1"
    asking = {
        transform.unique_name
        for transform in staged.components.transforms.values()
        if environments[transform.environment_id].resource_hints.get(hint)
        == accelerator.encode()
    }
    assert {name.partition("/")[0] for name in asking} == {"Train"}


def test_dataflow_cannot_write_to_this_disk(root, dataflow):
    with pytest.raises(ValueError, match="`output`"):
        run(root, beam_args=dataflow)


def test_building_runs_nothing(tmp_path):
    pipeline = beam.Pipeline()
    sweep_verb.build(
        pipeline, parsed(f"--config={_TINY}", f"--output={tmp_path}/sweep")
    )
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds=a"], "`seeds` must be numbers. Received: a"),
        (["--budget=1M"], "`budget` must be numbers"),
        (["--set=train.epochs"], "`set` must be KEY=VALUE"),
        (["--set=train.epochs=1", "--set=train.epochs=2"], "each key once"),
        (["--objectives=joint", "--set=train.objective=x"], "each key once"),
    ],
)
def test_flags_that_cannot_be(tmp_path, arguments, message):
    with pytest.raises(ValueError) as error:
        run(tmp_path, *arguments)
    assert message in str(error.value)


def test_values_are_cut_at_their_outer_commas(tmp_path):
    flags = parsed(
        f"--config={_TINY}",
        f"--output={tmp_path}",
        "--objectives=joint,boosted",
        "--set=train.milestones=(0.1,0.2),(0.3,);train.epochs=1,2",
    )
    jobs = sweep_verb.build(beam.Pipeline(), flags)
    assert len(jobs) == 8
    assert {job.settings["train"]["milestones"] for job in jobs} == {
        (0.1, 0.2),
        (0.3,),
    }


@pytest.mark.slow
def test_two_small_networks(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from pipeline.cli import main; main.main()",
            "sweep",
            f"--config={_TINY}",
            "--seeds=0,1",
            "--set=train.epochs=2",
            f"--output={tmp_path}",
            "--budget=1e6",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "2/2 done" in done.stderr
    assert "  2  tiny_config train.epochs=2 (exit" in done.stdout
    for job in sweep_experiments.read(str(tmp_path))["jobs"]:
        counts = job["metrics"]["dataset"]
        assert sum(counts[split] for split in ("train", "test")) > 1000
        work = tmp_path / "jobs" / job["name"] / "work"
        assert (work / "model" / "float.keras").exists()
        assert os.path.realpath(work / "data").startswith(
            str(tmp_path / "data")
        )
