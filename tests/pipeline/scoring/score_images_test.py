import json
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pipeline.scoring import bundle_handler, score_images
from pipeline.storage import beam_files
from tests.support import object_store, tiny_bundle
from tests.support.score_outputs import (
    COSTS,
    COUNT,
    IMAGES,
    LABELS,
    READERS,
    assert_row,
    key,
    raw,
    read,
    read_csv,
    run,
    summary,
    write_records,
)
from tflite.runtime.harness import Harness


@pytest.fixture(scope="module", name="directory")
def _directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("bundle")
    tiny_bundle.write(directory)
    return directory


@pytest.fixture(scope="module", name="expected")
def _expected(directory):
    """What the harness says of every image."""
    with Harness(str(directory)) as harness:
        return [harness.classify(image) for image in IMAGES]


@pytest.fixture(scope="module", name="shards")
def _shards(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    for shard in range(4):
        path = directory / f"test-{shard:05}-of-00004.tfrecord"
        write_records(path, map(raw, range(shard, COUNT, 4)))
    return directory


@pytest.mark.parametrize("files", [0, 3])
@pytest.mark.parametrize("form", list(READERS))
def test_every_format_holds_what_the_harness_says(
    directory, shards, expected, files, form, tmp_path
):
    output = tmp_path / "new" / "scores"
    arguments = [f"--format={form}", "--batch_size=8", f"--num_shards={files}"]
    run(directory, [shards / "*.tfrecord"], output, *arguments)
    rows = read(output, form)
    assert set(rows) == {key(i) for i in range(COUNT)}
    for i, result in enumerate(expected):
        assert_row(rows[key(i)], result, LABELS[i])
    if files:
        assert summary(output)["files"] == [
            f"scores-{k:05}-of-00003.{form}" for k in range(3)
        ]
    left = {path.name for path in output.parent.iterdir()}
    assert left == {
        *summary(output)["files"],
        "scores-rejected.jsonl",
        "scores-summary.json",
    }


def test_the_summary_adds_up(directory, shards, expected, tmp_path, capsys):
    run(directory, [shards / "*"], tmp_path / "s")
    found = summary(tmp_path / "s")
    exits = np.array([result.exit for result in expected])
    right = np.array([result.index for result in expected]) == LABELS
    assert set(exits) == {0, 1, 2}
    assert (found["images"], found["rejected"]) == (COUNT, 0)
    assert found["labelled"] == COUNT
    assert found["accuracy"] == pytest.approx(right.mean())
    assert found["mean_madds"] == pytest.approx(np.take(COSTS, exits).mean())
    assert (
        found["policy"] == bundle_handler.described(directory).policy.to_dict()
    )
    for k, row in enumerate(found["exits"]):
        here = exits == k
        assert row == {
            "exit": k,
            "images": here.sum(),
            "share": pytest.approx(here.mean()),
            "madds": COSTS[k],
            "accuracy": pytest.approx(right[here].mean()),
        }
    printed = capsys.readouterr().out
    assert f"images      {COUNT}, 0 rejected" in printed
    assert f"{right.mean():.2%}" in printed
    assert (tmp_path / "s-rejected.jsonl").read_bytes() == b""


def test_nothing_but_bad_records(directory, tmp_path, capsys):
    (tmp_path / "a.jpg").write_text("no image")
    run(directory, [tmp_path / "*.jpg"], tmp_path / "s")
    found = summary(tmp_path / "s")
    assert (found["images"], found["rejected"]) == (0, 1)
    assert "mean_madds" not in found
    assert "images      0, 1 rejected" in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["multi_threading", "multi_processing"])
def test_any_number_of_workers_says_the_same(
    directory, shards, expected, tmp_path, mode
):
    workers = ["--direct_num_workers=2", f"--direct_running_mode={mode}"]
    run(directory, [shards / "*"], tmp_path / "s", beam_args=workers)
    rows = read(tmp_path / "s")
    assert len(rows) == COUNT
    for i, result in enumerate(expected):
        assert_row(rows[key(i)], result, LABELS[i])


@pytest.mark.parametrize(
    "name", ["s-00001-of-00002.csv", "s-rejected.jsonl", "s-summary.json"]
)
def test_old_files_are_not_mixed_with_new(directory, shards, tmp_path, name):
    (tmp_path / name).write_text("old")
    (tmp_path / "s-other-00000-of-00001.csv").write_text("of another prefix")
    with pytest.raises(ValueError, match=f"`output` must.*{name}"):
        run(directory, [shards / "*"], tmp_path / "s")
    assert (tmp_path / name).read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / name).unlink()
    run(directory, [shards / "*"], tmp_path / "s")
    assert len(read(tmp_path / "s")) == COUNT
    with pytest.raises(ValueError, match="`output`"):
        run(directory, [shards / "*"], tmp_path / "s", "--format=csv")


def test_the_pipeline_itself_refuses_old_files(directory, shards, tmp_path):
    """A template is staged before it can look."""
    from pipeline.beam import runners

    (tmp_path / "s-summary.json").write_text("old")
    pipeline = score_images.beam.Pipeline(options=runners.options([]))
    job = score_images.Job(str(directory), (f"{shards}/*",), f"{tmp_path}/s")
    score_images.build(pipeline, job)
    with pytest.raises(ValueError, match="`output`"):
        runners.wait(pipeline)
    assert (tmp_path / "s-summary.json").read_text() == "old"


def test_a_file_that_two_patterns_match_is_read_once(
    directory, shards, tmp_path
):
    patterns = [shards / "*", shards / "test-00001-*", shards / "**"]
    run(directory, patterns, tmp_path / "s")
    assert len(read(tmp_path / "s")) == COUNT


def test_no_files_are_an_error(directory, shards, tmp_path):
    patterns = [shards / "*", tmp_path / "*.jpg"]
    with pytest.raises(ValueError, match=r"`input`"):
        run(directory, patterns, tmp_path / "s")
    assert not list(tmp_path.glob("s-*"))


def test_no_bundle_is_an_error(shards, tmp_path):
    with pytest.raises(ValueError, match=r"manifest\.json"):
        run(tmp_path, [shards / "*"], tmp_path / "s")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": ()}, "`inputs`"),
        ({"output": "a/"}, "`output`"),
        ({"output": ""}, "`output`"),
        ({"output": "a*"}, "`output`"),
        ({"form": "xml"}, "`form`"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"shards": -1}, "`shards`"),
    ],
)
def test_bad_jobs_are_refused(changes, message):
    job = {"bundle": "b", "inputs": ("i",), "output": "o"} | changes
    with pytest.raises(ValueError, match=message):
        score_images.Job(**job)


def test_lost_images_are_noticed(directory, shards, tmp_path, monkeypatch):
    """As if a runner had dropped some between two steps."""
    add = score_images.Tally.add_input
    seen = []

    def forgetful(self, counts, outcome):
        seen.append(outcome)
        return counts if len(seen) == 3 else add(self, counts, outcome)

    monkeypatch.setattr(score_images.Tally, "add_input", forgetful)
    with pytest.raises(RuntimeError, match="40 images were found, but 39"):
        run(directory, [shards / "*"], tmp_path / "s")
    assert not (tmp_path / "s-summary.json").exists()


def test_a_failing_write_leaves_no_summary(
    directory, shards, tmp_path, monkeypatch
):
    def full(row):
        raise OSError("No space left on device")

    encode = score_images.writing.FORMATS["csv"]
    monkeypatch.setitem(score_images.writing.FORMATS, "csv", (full, encode[1]))
    with pytest.raises(OSError, match="No space left"):
        run(directory, [shards / "*"], tmp_path / "s", "--format=csv")
    assert not list(tmp_path.glob("s-*"))


KILLED = """
import sys, time
import apache_beam as beam
from pipeline.beam import runners
from pipeline.scoring import score_images, writing

encode, writer = writing.FORMATS["csv"]

def slow(row):
    time.sleep(0.2)
    return encode(row)

writing.FORMATS["csv"] = slow, writer
bundle, pattern, output = sys.argv[1:]
pipeline = beam.Pipeline(options=runners.options([]))
score_images.build(pipeline, score_images.Job(bundle, [pattern], output, "csv"))
runners.wait(pipeline)
"""


def test_a_killed_run_leaves_no_result(directory, shards, tmp_path):
    arguments = [str(directory), f"{shards}/*", f"{tmp_path}/s"]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments],
        cwd=pathlib.Path(__file__).parents[3],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        # Beam's writers begin in a directory of their own.
        while not list(tmp_path.glob("beam-temp-*/*")):
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not list(tmp_path.glob("s-*"))
    run(directory, [shards / "*"], tmp_path / "s", "--format=csv")
    assert len(read(tmp_path / "s", "csv")) == COUNT


def test_all_of_it_in_an_object_store(directory, shards, expected, tmp_path):
    with object_store.bucket() as root:
        for place in (directory, shards):
            for path in place.iterdir():
                beam_files.write(
                    f"{root}/{place.name}/{path.name}", path.read_bytes()
                )
        run(
            f"{root}/{directory.name}",
            [f"{root}/{shards.name}/*"],
            f"{root}/out/s",
            "--format=csv",
        )
        found = json.loads(beam_files.read(f"{root}/out/s-summary.json"))
        (name,) = found["files"]
        (tmp_path / name).write_bytes(beam_files.read(f"{root}/out/{name}"))
        with pytest.raises(ValueError, match="`output`"):
            run(f"{root}/{directory.name}", ["x"], f"{root}/out/s")
    rows = read_csv([tmp_path / name])
    for i, result in enumerate(expected):
        assert_row(rows[key(i)], result, LABELS[i])


def test_a_template_is_staged_without_reading_anything(tmp_path):
    for name in ("staging", "temp"):
        (tmp_path / name).mkdir()
    run(
        "gs://somewhere/bundle",
        ["gs://somewhere/*.tfrecord"],
        "gs://somewhere/scores",
        beam_args=[
            "--runner=DataflowRunner",
            "--project=my-project",
            "--region=us-central1",
            "--no_auth",
            "--dataflow_endpoint=http://localhost:9",
            f"--template_location={tmp_path}/job.json",
            f"--staging_location={tmp_path}/staging",
            f"--temp_location={tmp_path}/temp",
        ],
    )
    assert json.loads((tmp_path / "job.json").read_text())["environment"]
