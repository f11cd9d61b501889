import json

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState

from pipeline.cli import launch
from pipeline.data import manifest
from pipeline.storage import beam_files
from tests.support import object_store


def test_overrides_are_typed_as_on_the_command_line():
    found = launch.configure(
        "ranet_digits",
        "data.size=12;data.max_rejected=0.5;data.fractions.test=0.2",
    )

    assert (found.data.size, found.data.max_rejected) == (12, 0.5)
    assert found.data.fractions.test == 0.2
    assert launch.configure("ranet_digits").data.size == 16


def test_a_value_may_hold_an_equals_sign():
    found = launch.configure(
        "ranet_cifar10_anytime", "data.source_options.path=gs://b/date=1/x"
    )

    assert found.data.source_options.path == "gs://b/date=1/x"


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("ranet_digit", "", "Did you mean"),
        ("ranet_digits", "data.sizes=16", "Did you mean config.data.size?"),
        ("ranet_digits", "data.size=many", "`overrides` must be KEY=VALUE"),
        ("ranet_digits", "data.size", "`overrides` must be KEY=VALUE"),
    ],
)
def test_a_bad_configuration_names_what_is_wrong(name, overrides, message):
    with pytest.raises(ValueError) as error:
        launch.configure(name, overrides)

    assert message in str(error.value)


@pytest.mark.parametrize(
    ("verb", "arguments", "missing"),
    [
        ("prepare", ["--config=ranet_digits"], "--output"),
        ("prepare", ["--output=gs://bucket/data"], "--config"),
        ("score", ["--output=gs://bucket/scores"], "--bundle, --input"),
        ("sweep", [], "--config, --output"),
    ],
)
def test_what_is_missing_is_named(verb, arguments, missing):
    with pytest.raises(ValueError, match=f"^{verb} needs {missing}$"):
        launch.launch(verb, arguments)


@pytest.mark.parametrize("verb", launch.VERBS)
def test_no_flag_takes_an_option_from_beam(verb):
    assert not set(launch.parameters(verb)) & set(
        PipelineOptions([]).get_all_options()
    )


def test_a_value_of_the_wrong_type_is_refused():
    with pytest.raises(ValueError, match="--batch_size=many"):
        launch.launch("score", ["--batch_size=many"])


def test_workers_elsewhere_need_a_store():
    arguments = ["--config=ranet_digits", "--runner=DataflowRunner"]

    with pytest.raises(ValueError, match="`output`"):
        launch.launch("prepare", [*arguments, "--output=/data/digits"])


def test_an_error_ends_the_launcher_with_one_line(monkeypatch):
    arguments = ["--config=digits", "--output=gs://bucket/data"]
    monkeypatch.setattr("sys.argv", ["prepare.py", *arguments])

    with pytest.raises(SystemExit) as error:
        launch.main("prepare")

    assert str(error.value).startswith("prepare: error: ")
    assert "\n" not in str(error.value)


def test_preparation_publishes_to_an_object_store():
    with object_store.bucket() as root:
        result = launch.launch(
            "prepare",
            [
                "--config=ranet_digits",
                f"--output={root}/digits",
                "--overrides=data.shard_images=500",
                "--runner=FnApiRunner",
            ],
        )
        assert result.wait_until_finish() == PipelineState.DONE

        data = beam_files.read(f"{root}/digits/{manifest.FILE}")
        described = json.loads(data)
        sizes = {
            shard["file"]: len(
                beam_files.read(f"{root}/digits/{shard['file']}")
            )
            for shard in described["shards"]
        }

    assert sum(described["counts"].values()) == 1797
    assert sizes == {s["file"]: s["bytes"] for s in described["shards"]}
