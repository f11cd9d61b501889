import json
import pathlib
import signal
import subprocess
import sys
from importlib import metadata

import pytest

from pipeline.cli import verbs
from tests.support import finished_run

CONFIG = "--config=ranet_digits"
PACKAGE = "keras-dynamic"


def run(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from pipeline.cli import main; main.main()",
            *map(str, arguments),
        ],
        capture_output=True,
        text=True,
    )


def error_of(*arguments) -> str:
    """The one line of an error, without a traceback."""
    done = run(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    [line] = [
        line
        for line in done.stderr.splitlines()
        if line.startswith("keras-dynamic: error: ")
    ]
    # Nothing of the message is left for a second line.
    assert done.stderr.endswith(f"{line}\n")
    return line


@pytest.fixture
def two_exits(tmp_path, monkeypatch) -> pathlib.Path:
    """A .tflite file: x + x, and that + x."""
    from tests.support.tiny_graph import TinyGraph

    graph = TinyGraph()
    x = graph.tensor([1, 4], name="x")
    first = graph.run("ADD", [x, x], name="first")
    second = graph.run("ADD", [first, x], name="second")
    names = {"x": x, "shallow": first, "deep": second}
    path = tmp_path / "model.tflite"
    path.write_bytes(graph.write([x], [first, second], names))
    return path


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["trian"], ["`verb` must be one of", "Did you mean 'train'?"]),
        (["train", CONFIG], ["train needs --workdir"]),
        (["train", CONFIG, "--workdir="], ["`workdir` must not be empty"]),
        (["run", CONFIG, "--workdir", ""], ["`workdir` must not be empty"]),
        (
            ["check", CONFIG, "--workdir=x", "--reference="],
            ["`reference` must not be empty"],
        ),
        (["classify", "--bundle=", "x"], ["`bundle` must not be empty"]),
        (["score", "--bundle=x", "--output="], ["`output` must not be empty"]),
        (["sweep", "--output="], ["`output` must not be empty"]),
        (["split", "--output=", "x"], ["`output` must not be empty"]),
        (
            ["train", CONFIG, "--workdir=~nobody-of-this-name/x"],
            ["`workdir` must begin with ~ only for a home directory"],
        ),
        (
            ["inspect", "~nobody-of-this-name/x"],
            ["`BUNDLE` must begin"],
        ),
        (
            ["check", CONFIG, f"--workdir={__file__}"],
            ["`workdir`", "main_test.py, a file"],
        ),
        (["compare", "--workdir=x", ""], ["WORKDIR ... must not be empty"]),
        (["policy", ""], ["BUNDLE must not be empty"]),
        (["train", "--workdir=x"], ["train needs --config"]),
        (
            ["train", "--config=ranet_digit", "--workdir=x"],
            ["`config` must be", "Did you mean 'ranet_digits'?"],
        ),
        (
            ["train", CONFIG, "--wrokdir=x"],
            ["'--wrokdir'", "--processes", "Did you mean '--workdir'?"],
        ),
        (["sweep", "--seed=1"], ["'--seed'", "Did you mean '--seeds'?"]),
        (["list", CONFIG], ["one of --json, ", "Received: '--config'"]),
        (
            ["train", CONFIG, "--config.train.epoch=3", "--workdir=x"],
            ["config.train.epoch.", "Did you mean config.train.epochs?"],
        ),
        (
            # Of another stage, and long before it.
            ["prepare", CONFIG, "--config.policy.rule=best", "--workdir=x"],
            ["`policy.rule` must be one of accuracy_drop,", "'best'"],
        ),
        (
            ["train", CONFIG, "--config.train.epochs=x", "--workdir=x"],
            ["--config.train.epochs=x", "invalid literal for int()"],
        ),
        (
            ["train", CONFIG, "--workdir=x", "y"],
            ["takes nothing but flags. Received: y"],
        ),
        (
            ["train", CONFIG, "--workdir=x", "--", "--runner=Flink"],
            ["prepare, run, score, sweep only", "--runner=Flink"],
        ),
        (["classify", "photo.png"], ["classify needs --bundle"]),
        (["inspect"], ["takes one bundle. Received: none"]),
        (["inspect", "nowhere"], ["must be a bundle", "nowhere"]),
        (["policy", "nowhere"], ["needs one of --max_drop", "Received: none"]),
        (["policy", "nowhere", "--max-drop=x"], ["--max_drop=x"]),
        (["policy", "nowhere", "--budget-madds=1"], ["bundle", "nowhere"]),
        (["split", "model.tflite"], ["split needs --output"]),
        (["split", "--output=x"], ["takes one .tflite file"]),
        (["compare", "a"], ["compare needs --workdir"]),
        (["compare", "--workdir=x"], ["takes working directories"]),
        (["compare", "--workdir=x", "a"], ["`workdirs` must be", "a, which"]),
        (["compare", "--workdir=x", "--kind=qat", "a"], ["--kind=qat"]),
    ],
)
def test_usage_errors(tmp_path, monkeypatch, arguments, parts):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(pathlib.Path(__file__).parents[3]))
    line = error_of(*arguments)
    for part in parts:
        assert part in line
    assert list(tmp_path.iterdir()) == []


def test_a_stage_before_its_time(tmp_path):
    workdir = tmp_path / "work"
    # The name of a configuration may also be the next argument.
    line = error_of("train", "--config", "ranet_digits", "--workdir", workdir)
    assert "needs what `keras-dynamic prepare` makes" in line
    assert not workdir.exists()


def test_processes_that_cannot_train_together(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    train = ("train", CONFIG, f"--workdir={tmp_path}", "--processes=2")
    assert "`KERAS_BACKEND` must be jax" in error_of(*train)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    line = error_of(*train, "--config.train.batch_size=63")
    assert "`train.batch_size` must be a multiple of the 2 processes" in line
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "0")
    monkeypatch.setenv("KERAS_DISTRIBUTION_JOB_ADDRESSES", "127.0.0.1:1")
    assert "already one of 2" in error_of(*train)
    line = error_of("evaluate", CONFIG, f"--workdir={tmp_path}")
    assert line.endswith("do nothing but train together. Received: evaluate")
    assert not any(tmp_path.iterdir())


def test_a_file_that_is_no_configuration(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def get_config(:\n")
    line = error_of("cost", f"--config={path}")
    assert "mine.py with SyntaxError" in line


def test_verbosity_shows_where_it_failed(tmp_path):
    done = run("classify", f"--bundle={tmp_path}", "x.png", "--verbosity=1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "manifest.json" in done.stderr


def test_version():
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout == f"keras-dynamic {metadata.version(PACKAGE)}\n"


def test_nobody_has_to_read_all(tmp_path):
    """As with `keras-dynamic list | head -1`: no error where that ends."""
    program = "from pipeline.cli import main; main.main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 128 + signal.SIGPIPE


def test_stages_are_those_that_run_runs():
    from pipeline import stages

    assert tuple(stages.STAGES) == verbs.STAGES


def test_cost_as_json():
    # The configuration has a `step`, and no `step_mode`.
    changes = ("step=1", "step_mode=lg")
    flags = (f"--config.model.arguments.{change}" for change in changes)
    done = run("cost", CONFIG, *flags, "--json")
    assert done.returncode == 0
    rows = json.loads(done.stdout)["exits"]
    assert list(json.loads(done.stdout)) == ["exits"]
    assert [row["exit"] for row in rows] == [0, 1, 2, 3]
    for name in ("madds", "madds_paper", "params"):
        values = [row[name] for row in rows]
        assert all(type(value) is int for value in values)
        assert values == sorted(set(values))
    for row in rows:
        assert row["madds"] < row["madds_paper"]
        assert row["feature_shape"][:2] == [8, 8]


def test_split(two_exits, tmp_path):
    output = tmp_path / "segments"
    done = run("split", two_exits, f"--output={output}")
    assert done.returncode == 0
    sizes = [
        f"{(output / f'segment_{i}.tflite').stat().st_size:,}" for i in (0, 1)
    ]
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["segment", "exit", "gate", "inputs", "outputs"]
        + ["multiply-adds", "parameters", "bytes"],
        ["segment_0.tflite", "0", "t0", "t1", "0", "0", sizes[0]],
        ["segment_1.tflite", "1", "t0", "t1", "t2", "0", "0", sizes[1]],
        [],
        ["tensor"],
        ["t0", "x"],
        ["t1", "shallow"],
        ["t2", "deep"],
    ]
    assert sorted(path.name for path in output.iterdir()) == [
        "segment_0.tflite",
        "segment_1.tflite",
        "segments.json",
    ]


def test_split_as_json(two_exits, tmp_path):
    done = run("split", two_exits, f"--output={tmp_path / 'out'}", "--json")
    [first, second] = json.loads(done.stdout)["segments"]
    assert first["inputs"] == ["x"]
    assert first["outputs"] == ["shallow"]
    assert second["inputs"] == ["x", "shallow"]
    assert [each["exit"] for each in (first, second)] == [0, 1]
    for each in (first, second):
        written = tmp_path / "out" / each["file"]
        assert each["bytes"] == written.stat().st_size


def test_split_of_half_a_file(two_exits, tmp_path):
    whole = two_exits.read_bytes()
    two_exits.write_bytes(whole[: len(whole) // 2])
    line = error_of("split", two_exits, f"--output={tmp_path / 'out'}")
    assert "is not a usable .tflite model" in line
    assert [path.name for path in tmp_path.iterdir()] == ["model.tflite"]


def test_split_of_no_file(tmp_path):
    line = error_of("split", tmp_path / "no.tflite", f"--output={tmp_path}/x")
    assert "no.tflite" in line


def test_compare(tmp_path):
    for seed in range(2):
        finished_run.write(tmp_path / f"seed{seed}", seed=seed)
    done = run(
        "compare",
        f"--workdir={tmp_path}",
        "--published=ranet_cifar10",
        tmp_path / "seed0",
        tmp_path / "seed1",
    )
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        str(tmp_path / "comparison" / name)
        for name in ("comparison.csv", "comparison.svg", "index.html")
    ]
    for line in done.stdout.splitlines():
        assert pathlib.Path(line).stat().st_size > 0


def test_compare_before_evaluate(tmp_path):
    workdir = finished_run.write(tmp_path / "a")
    (workdir / "metrics.json").unlink()
    line = error_of("compare", f"--workdir={tmp_path / 'out'}", workdir)
    assert "metrics.json does not exist. Run `keras-dynamic evaluate`" in line
    assert not (tmp_path / "out").exists()


def test_compare_with_unknown_curves(tmp_path):
    workdir = finished_run.write(tmp_path / "a")
    line = error_of(
        "compare", f"--workdir={tmp_path}", "--published=ranet_mnist", workdir
    )
    assert "`published` must be some of ranet_cifar10," in line


def test_classify_without_its_bundle(tmp_path):
    line = error_of("classify", f"--bundle={tmp_path / 'none'}", "x.png")
    assert "`directory` must be a bundle with a file manifest.json" in line
