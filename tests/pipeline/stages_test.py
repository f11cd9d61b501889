import dataclasses
import json
import pathlib
import shutil
import sys
import tomllib
import types

import ml_collections
import pytest

from pipeline import config, stages
from pipeline.results import stage_results
from pipeline.results.layout import Layout
from pipeline.results.versions import VERSIONS

ORDER = [
    "prepare",
    "train",
    "evaluate",
    "quantize",
    "convert",
    "check",
    "benchmark",
    "report",
]
# One in each result that is a directory.
FILES = {
    "data": "manifest.json",
    "qat_model": "saved_model.pb",
    "tflite": "model.tflite",
    "bundle": "manifest.json",
    "benchmark": "benchmark.csv",
}
MEASURED = {"exits": []}


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "work")


class Ran(list):
    """The names of the stages that ran; those in `failing` fail halfway."""

    def __init__(self):
        super().__init__()
        self.failing = set()
        self.beam_args = None

    def take(self) -> list[str]:
        taken, self[:] = list(self), []
        return taken


@pytest.fixture
def ran(monkeypatch, layout):
    """Puts stages that only touch their files in place of the real ones."""
    log = Ran()

    def module(name):
        def stage(_, where, beam_args=None):
            log.append(name)
            assert where == layout
            if name == "prepare":
                log.beam_args = beam_args
            written = stages.STAGES[name]
            for made in (*written.makes, *written.extras):
                if made == "results":
                    stage_results.keep(layout, name, MEASURED)
                    continue
                path = getattr(layout, made)
                path /= FILES.get(made, "")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(name)
            if name in log.failing:
                raise ValueError(f"{name} failed")
            return f"what {name} made"

        made = types.ModuleType(f"made_up_{name}")
        made.run = stage
        return made

    for name in stages.STAGES:
        monkeypatch.setitem(sys.modules, f"made_up_{name}", module(name))
        there = dataclasses.replace(
            stages.STAGES[name], entry=f"made_up_{name}:run", foresight=""
        )
        monkeypatch.setitem(stages.STAGES, name, there)
    return log


def run(layout, names=ORDER, *, settings=None, skip_finished=True, **options):
    return stages.run(
        settings or config.load("ranet_digits"),
        layout,
        names,
        skip_finished=skip_finished,
        **options,
    )


def marks(layout) -> set[str]:
    return {path.stem for path in layout.stages.glob("*.json")}


def test_every_stage_is_kept_apart_from_the_others():
    text = (pathlib.Path(__file__).parents[2] / "pyproject.toml").read_text()
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    [apart] = [each for each in contracts if each["type"] == "independence"]
    entries = [each.entry.partition(":")[0] for each in stages.STAGES.values()]
    assert apart["modules"] == entries


def test_what_a_later_stage_would_refuse_is_said_first(
    layout, ran, monkeypatch
):
    seen = []

    def refuse(config):
        seen.append(config.name)
        raise ValueError("no such layer")

    foreseen = types.ModuleType("made_up_foresight")
    foreseen.check = refuse
    monkeypatch.setitem(sys.modules, foreseen.__name__, foreseen)
    quantize = dataclasses.replace(
        stages.STAGES["quantize"], foresight=f"{foreseen.__name__}:check"
    )
    monkeypatch.setitem(stages.STAGES, "quantize", quantize)
    with pytest.raises(ValueError, match="no such layer"):
        run(layout)
    assert ran.take() == []
    assert len(seen) == 1
    # Stages that do not lead to it are not held up, nor is it by itself.
    run(layout, ORDER[:3])
    run(layout, ["quantize"])
    assert ran.take() == ORDER[:4]


def test_all_in_order_and_once(layout, ran):
    made = run(layout)
    assert ran.take() == ORDER == list(stages.STAGES)
    assert made == {name: f"what {name} made" for name in ORDER}
    made = run(layout)
    assert ran.take() == []
    assert made == dict.fromkeys(ORDER)


def test_the_configuration_is_kept(layout, ran):
    settings = config.load("ranet_digits")
    settings.train.epochs = 3
    run(layout, ["prepare"], settings=settings)
    kept = json.loads(layout.config.read_text())
    assert kept == json.loads(json.dumps(settings.to_dict()))


def test_a_later_stage_does_not_say_how_an_earlier_one_was_run(layout, ran):
    trained = config.load("ranet_digits")
    trained.train.epochs, trained.seed = 7, 3
    run(layout, settings=trained)
    others = config.load("ranet_digits")
    others.benchmark.runs = 5
    run(layout, ["benchmark"], settings=others)
    kept = json.loads(layout.config.read_text())
    assert (kept["train"]["epochs"], kept["seed"]) == (7, 3)
    assert kept["benchmark"]["runs"] == 5
    run(layout, ["train"], settings=others)
    kept = json.loads(layout.config.read_text())
    assert kept["train"]["epochs"] == others.train.epochs
    assert kept["seed"] == others.seed


@pytest.mark.parametrize(
    ("changed", "again"),
    [
        ({"data.size": 20}, ORDER),
        ({"data.seed": 1}, ORDER),
        ({"train.epochs": 2}, ORDER[1:]),
        ({"model.arguments.step": 3}, ORDER[1:]),
        ({"seed": 1}, ORDER[1:]),
        ({"quantize.steps": 5}, ORDER[3:]),
        ({"policy.max_drop_points": 1.0}, ORDER[4:]),
        ({"name": "other"}, ORDER[4:]),
        ({"check.max_points": 2.0}, ["check", "report"]),
        ({"benchmark.runs": 10}, ["benchmark", "report"]),
    ],
)
def test_a_changed_section_runs_what_depends_on_it(layout, ran, changed, again):
    run(layout)
    ran.take()
    settings = config.load("ranet_digits")
    settings.update_from_flattened_dict(changed)
    run(layout, settings=settings)
    assert ran.take() == again
    run(layout, settings=settings)
    assert ran.take() == []


@pytest.mark.parametrize(
    ("changed", "again"),
    [
        ("prepare", ORDER),
        ("quantize", ORDER[3:]),
        ("check", ["check", "report"]),
        ("report", ["report"]),
    ],
)
def test_a_raised_version_runs_what_depends_on_it(
    layout, ran, monkeypatch, changed, again
):
    run(layout)
    ran.take()
    monkeypatch.setitem(VERSIONS, changed, VERSIONS[changed] + 1)
    run(layout)
    assert ran.take() == again
    run(layout)
    assert ran.take() == []


def test_changed_images_run_everything(layout, ran, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    settings = config.load("ranet_cifar10_model1")
    settings.data.source_options.path = str(photos)
    run(layout, settings=settings)
    ran.take()
    run(layout, settings=settings)
    assert ran.take() == []
    (photos / "new.jpg").write_bytes(b"")
    run(layout, settings=settings)
    assert ran.take() == ORDER


@pytest.mark.parametrize(
    "setting",
    [
        "train.objective_arguments.teacher",
        "train.initial_weights",
        "train.augmentation_options.file",
        "model.arguments.path",
        "model.arguments.preview.weights",
    ],
)
def test_another_file_of_the_same_name_trains_again(
    setting, layout, ran, tmp_path
):
    trained = tmp_path / "float.keras"
    trained.write_bytes(b"one")
    settings = config.load("ranet_digits")
    with settings.unlocked():
        settings.train.objective_arguments.teacher = ""
        settings.train.augmentation_options.file = ""
        settings.model.arguments.path = ""
        settings.model.arguments.preview = ml_collections.ConfigDict(
            {"weights": ""}
        )
        settings.update_from_flattened_dict({setting: str(trained)})
    run(layout, settings=settings)
    ran.take()
    run(layout, settings=settings)
    assert ran.take() == []
    trained.write_bytes(b"two")
    run(layout, settings=settings)
    assert ran.take() == ORDER[1:]


def test_a_changed_function_of_the_user_s_trains_again(
    layout, ran, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    module = tmp_path / "a_package" / "their_nets.py"
    module.parent.mkdir()
    module.write_text("# one")
    settings = config.load("ranet_digits")
    settings.model.family = "a_package.their_nets:build"
    run(layout, settings=settings)
    ran.take()
    run(layout, settings=settings)
    assert ran.take() == []
    module.write_text("# two")
    run(layout, settings=settings)
    assert ran.take() == ORDER[1:]


def test_a_lost_result_is_made_again(layout, ran):
    run(layout)
    ran.take()
    shutil.rmtree(layout.bundle)
    run(layout)
    assert ran.take() == ORDER[4:]


def test_lost_results_are_measured_again(layout, ran):
    run(layout)
    ran.take()
    layout.metrics.unlink()
    run(layout)
    assert ran.take() == []
    assert layout.metrics.exists()
    layout.results_of("convert").unlink()
    run(layout)
    assert ran.take() == ORDER[4:]


def test_results_of_another_model_are_measured_again(layout, ran):
    run(layout)
    ran.take()
    layout.float_model.write_text("another one in the same place")
    with pytest.raises(ValueError, match=r"`benchmark`"):
        run(layout, ["benchmark"], skip_finished=False)
    assert not layout.metrics.exists()
    run(layout)
    assert ran.take() == ORDER[2:]
    assert layout.metrics.exists()


def test_a_working_directory_without_results_is_evaluated_again(layout, ran):
    run(layout)
    ran.take()
    shutil.rmtree(layout.results)
    before = layout.metrics.read_text()
    run(layout, ["report"], skip_finished=False)
    assert ran.take() == ["report"]
    assert layout.metrics.read_text() == before
    run(layout)
    assert ran.take() == ORDER[2:]


def test_a_report_can_do_without_the_benchmark_s_tables(layout, ran):
    run(layout)
    ran.take()
    shutil.rmtree(layout.benchmark)
    run(layout, ["report"], skip_finished=False)
    assert ran.take() == ["report"]
    run(layout)
    assert ran.take() == ["benchmark", "report"]


def test_one_stage_alone_runs_always_and_makes_later_ones_stale(layout, ran):
    run(layout)
    ran.take()
    run(layout, ["quantize"], skip_finished=False)
    assert ran.take() == ["quantize"]
    assert marks(layout) == set(ORDER[:4])
    run(layout)
    assert ran.take() == ORDER[4:]


def test_a_stage_without_its_input_names_the_verb(layout, ran):
    with pytest.raises(ValueError, match="`train`") as e:
        run(layout, ["train"], skip_finished=False)
    assert "`keras-dynamic prepare` makes" in str(e.value)
    assert str(layout.data) in str(e.value)
    assert ran.take() == []
    assert not layout.root.exists()


def test_a_lost_input_of_a_later_stage(layout, ran):
    run(layout)
    ran.take()
    shutil.rmtree(layout.qat_model)
    with pytest.raises(ValueError, match="`keras-dynamic quantize`"):
        run(layout, ["convert"], skip_finished=False)
    assert ran.take() == []
    # What it would have replaced is there and still marked.
    assert marks(layout) == set(ORDER)


def test_a_failing_stage_runs_again(layout, ran):
    ran.failing.add("quantize")
    with pytest.raises(ValueError, match="quantize failed"):
        run(layout)
    assert ran.take() == ORDER[:4]
    assert marks(layout) == set(ORDER[:3])
    ran.failing.clear()
    run(layout)
    assert ran.take() == ORDER[3:]


def test_a_failure_leaves_no_mark_of_what_depended_on_it(layout, ran):
    run(layout)
    ran.take()
    ran.failing.add("convert")
    with pytest.raises(ValueError, match="convert failed"):
        run(layout, ["convert"], skip_finished=False)
    assert marks(layout) == set(ORDER[:4])
    ran.failing.clear()
    ran.take()
    run(layout)
    assert ran.take() == ORDER[4:]


def test_a_failed_check_stops_before_the_report(layout, ran):
    ran.failing.add("check")
    with pytest.raises(ValueError, match="check failed"):
        run(layout)
    assert ran.take()[-1] == "check"
    assert not layout.report.exists()


@pytest.mark.parametrize("made", FILES)
def test_files_of_others_are_refused_before_any_stage_runs(layout, ran, made):
    run(layout)
    ran.take()
    # All of it is finished: nothing would be replaced.
    mine = getattr(layout, made) / "photos" / "mine.jpg"
    mine.parent.mkdir()
    mine.write_text("mine")
    run(layout)
    settings = config.load("ranet_digits")
    settings.data.seed = 1
    before = marks(layout)
    with pytest.raises(ValueError, match=r"`path`"):
        run(layout, settings=settings)
    assert ran.take() == []
    assert marks(layout) == before
    assert mine.read_text() == "mine"
    mine.unlink()
    run(layout, settings=settings)
    assert ran.take() == ORDER


@pytest.mark.parametrize("made", ["float_model", "report"])
def test_a_directory_where_a_file_goes_is_refused(layout, ran, made):
    getattr(layout, made).mkdir(parents=True)
    with pytest.raises(ValueError, match="`path`"):
        run(layout)
    assert ran.take() == []


def test_a_file_where_a_directory_goes_is_refused(layout, ran):
    layout.root.mkdir()
    layout.bundle.write_text("mine")
    with pytest.raises(ValueError, match="`path`"):
        run(layout)
    assert ran.take() == []
    assert layout.bundle.read_text() == "mine"


def test_files_of_others_where_no_stage_of_these_writes(layout, ran):
    layout.bundle.mkdir(parents=True)
    (layout.bundle / "mine").touch()
    (layout.root / "mine").touch()
    run(layout, ORDER[:4])
    assert ran.take() == ORDER[:4]


def test_beam_options_go_to_prepare(layout, ran):
    options = {"beam_args": ["--runner=FlinkRunner"]}
    run(layout, arguments={"prepare": options})
    assert ran.beam_args == ["--runner=FlinkRunner"]


def test_unknown_source(layout, ran):
    settings = config.load("ranet_digits")
    settings.data.source = "digit"
    with pytest.raises(ValueError, match=r"`data\.source`"):
        run(layout, settings=settings)
    assert ran.take() == []
