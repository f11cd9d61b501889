"""The jobs that Dataflow would get, staged to local files.

Neither credentials nor a network are needed, and nothing here shows that the
service takes them: docs/dataflow.md says what was never run.
"""

import dataclasses
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
from typing import Any

import pytest
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.runner import PipelineState
from google.cloud import dataflow_v1beta3

from pipeline.cli import launch

ROOT = pathlib.Path(__file__).parents[3]
DOCKERFILE = ROOT / "deploy" / "dataflow" / "Dockerfile"
IMAGE = "registry.example/project/keras-dynamic:1"
ACCELERATOR = "type:nvidia-tesla-t4;count:1;install-nvidia-driver"
ARGUMENTS = {
    "prepare": [
        "--config=ranet_digits",
        "--output=gs://bucket/digits",
        "--overrides=data.shard_images=500",
    ],
    "score": [
        "--bundle=gs://bucket/bundle",
        "--input=gs://bucket/digits/test-*.tfrecord",
        "--output=gs://bucket/scores/digits",
    ],
    "sweep": [
        "--config=ranet_digits",
        "--output=gs://bucket/sweep",
        "--seeds=1,2",
        f"--accelerator={ACCELERATOR}",
    ],
}
STEPS = {
    "prepare": {
        "PrepareImages/Pieces",
        "PrepareImages/SpreadPieces",
        "PrepareImages/List",
        "PrepareImages/ChunkSizes",
        "PrepareImages/Listed",
        "PrepareImages/Place",
        "PrepareImages/GroupByBucket",
        "PrepareImages/WriteBucket",
        "PrepareImages/Rows",
        "PrepareImages/Finish",
    },
    "score": {
        "Inputs",
        "Match",
        "Spread",
        "Read",
        "Score",
        "Rejected",
        "Rows",
        "Summarise",
    },
    "sweep": {"Jobs", "Prepare", "Train", "Names", "Summarize"},
}


@dataclasses.dataclass(frozen=True)
class Staged:
    """A job as the service would get it.

    Attributes:
        job: The job itself.
        pipeline: Its graph.
        files: Names of the files that were staged.
    """

    job: dict[str, Any]
    pipeline: beam_runner_api_pb2.Pipeline
    files: set[str]

    @property
    def pool(self) -> dict[str, Any]:
        (pool,) = self.job["environment"]["workerPools"]
        return pool

    @property
    def steps(self) -> dict[str, beam_runner_api_pb2.PTransform]:
        return {
            transform.unique_name: transform
            for transform in self.pipeline.components.transforms.values()
        }


@pytest.fixture(scope="module", name="wheel")
def _wheel(tmp_path_factory) -> pathlib.Path:
    """The package of this checkout."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("keras_dynamic", "pipeline", "tflite"):
        shutil.copytree(ROOT / name, source / name)
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        + ["--no-build-isolation", f"--wheel-dir={target}", str(source)],
        check=True,
    )
    (wheel,) = target.iterdir()
    return wheel


@pytest.fixture(scope="module", params=ARGUMENTS, name="verb")
def _verb(request) -> str:
    return request.param


@pytest.fixture(scope="module", name="staged")
def _staged(verb, wheel, tmp_path_factory) -> Staged:
    """The job of a verb, with everything that a run in production would set."""
    directory = tmp_path_factory.mktemp(verb)
    (directory / "files").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        calls = []
        patch.setattr(
            socket.socket, "connect", lambda *args: calls.append(args)
        )
        result = launch.launch(
            verb,
            [
                *ARGUMENTS[verb],
                "--runner=DataflowRunner",
                "--project=project",
                "--region=us-central1",
                f"--job_name={verb}",
                f"--temp_location={directory}",
                f"--staging_location={directory / 'files'}",
                # These three keep it off the network.
                "--no_auth",
                "--dataflow_endpoint=http://localhost:9",
                f"--template_location={directory / 'job.json'}",
                f"--sdk_container_image={IMAGE}",
                "--sdk_location=container",
                f"--extra_package={wheel}",
                "--worker_machine_type=n2-standard-4",
                "--num_workers=2",
                "--max_num_workers=20",
                "--disk_size_gb=50",
                "--number_of_worker_harness_threads=4",
                "--no_use_public_ips",
                "--subnetwork=regions/us-central1/subnetworks/workers",
                "--service_account_email=w@project.iam.gserviceaccount.com",
                "--dataflow_service_options=enable_google_cloud_profiler",
                "--experiments=shuffle_mode=service",
            ],
        )
    assert result.state == PipelineState.DONE  # Staged, that is.
    assert not calls
    graph = (directory / "files" / "pipeline.pb").read_bytes()
    return Staged(
        json.loads((directory / "job.json").read_text()),
        beam_runner_api_pb2.Pipeline.FromString(graph),
        {path.name for path in (directory / "files").iterdir()},
    )


def test_the_job_is_a_batch_job_with_all_steps(verb, staged):
    assert staged.job["name"] == verb
    assert staged.job["type"] == "JOB_TYPE_BATCH"
    assert STEPS[verb] <= staged.steps.keys()


def test_the_workers_are_those_that_were_asked_for(staged):
    pool = staged.pool

    assert pool["machineType"] == "n2-standard-4"
    assert pool["numWorkers"] == 2
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 20
    assert pool["diskSizeGb"] == 50
    assert pool["numThreadsPerWorker"] == 4
    assert pool["ipConfiguration"] == "WORKER_IP_PRIVATE"
    assert pool["subnetwork"] == "regions/us-central1/subnetworks/workers"


def test_the_service_gets_account_options_and_experiments(staged):
    environment = staged.job["environment"]

    account = environment["serviceAccountEmail"]
    assert account == "w@project.iam.gserviceaccount.com"
    assert "enable_google_cloud_profiler" in environment["serviceOptions"]
    assert {"shuffle_mode=service", "use_runner_v2"} <= set(
        environment["experiments"]
    )


def test_every_step_runs_in_the_image(staged):
    containers = staged.pool["sdkHarnessContainerImages"]
    assert {c["containerImage"] for c in containers} == {IMAGE}

    images = {
        beam_runner_api_pb2.DockerPayload.FromString(
            environment.payload
        ).container_image
        for environment in staged.pipeline.components.environments.values()
        if environment.urn == "beam:env:docker:v1"
    }
    assert images == {IMAGE}


def test_the_package_is_staged(staged, wheel):
    packages = {package["name"] for package in staged.pool["packages"]}

    assert {wheel.name, "extra_packages.txt"} <= packages & staged.files


def test_only_training_asks_for_an_accelerator(verb, staged):
    environments = staged.pipeline.components.environments
    hints = {
        name: dict(environments[step.environment_id].resource_hints)
        for name, step in staged.steps.items()
        if step.environment_id
    }

    assert {name: found for name, found in hints.items() if found} == (
        {"Train": {"beam:resources:accelerator:v1": ACCELERATOR.encode()}}
        if verb == "sweep"
        else {}
    )


@pytest.fixture(params=launch.VERBS, name="template")
def _template(request) -> tuple[str, dict[str, Any]]:
    """A verb and the metadata of its template."""
    path = ROOT / "deploy" / "dataflow" / f"{request.param}.json"
    return request.param, json.loads(path.read_text())


def test_metadata_fits_the_schema_of_the_service(template):
    _, metadata = template

    parsed = dataflow_v1beta3.TemplateMetadata.from_json(
        json.dumps(metadata), ignore_unknown_fields=False
    )

    assert parsed.name and parsed.description and not parsed.streaming
    for parameter in parsed.parameters:
        assert parameter.label and parameter.help_text
        assert parameter.param_type.name != "DEFAULT"


def test_parameters_are_the_flags(template):
    verb, metadata = template
    names = [parameter["name"] for parameter in metadata["parameters"]]

    assert sorted(names) == sorted(launch.parameters(verb))


def test_flags_that_must_be_given_are_no_options(template):
    verb, metadata = template
    needed = {
        parameter["name"]
        for parameter in metadata["parameters"]
        if not parameter["isOptional"]
    }

    assert needed == set(launch.VERBS[verb])


def test_default_values_match_the_expressions(template):
    verb, metadata = template
    values = launch.parameters(verb).flags_by_module_dict()
    flags = {flag.name: flag for found in values.values() for flag in found}
    for parameter in metadata["parameters"]:
        if not parameter["isOptional"]:
            continue
        for expression in parameter["regexes"]:
            text = as_parameter(flags[parameter["name"]].default)
            assert re.search(expression, text), parameter["name"]


def as_parameter(value) -> str:
    """A flag's value as the template's parameter would be written."""
    if isinstance(value, list | tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def test_the_values_of_these_tests_match_the_expressions(template):
    verb, metadata = template
    given = dict(
        argument.removeprefix("--").split("=", 1)
        for argument in ARGUMENTS[verb]
    )
    for parameter in metadata["parameters"]:
        for expression in parameter["regexes"]:
            if parameter["name"] in given:
                assert re.search(expression, given[parameter["name"]])


@pytest.mark.parametrize("verb", launch.VERBS)
def test_the_launcher_of_a_template_launches_its_verb(verb):
    script = (ROOT / "deploy" / "dataflow" / f"{verb}.py").read_text()

    assert f'launch.main("{verb}")' in script


def test_the_image_has_the_locked_version_of_beam():
    lock = (ROOT / "requirements.lock").read_text()
    (version,) = re.findall(r"^apache-beam==([0-9.]+)", lock, re.MULTILINE)
    base = DOCKERFILE.read_text().split("FROM ")[-1].splitlines()[0]

    assert base == f"apache/beam_python3.11_sdk:{version}@${{BEAM_DIGEST}}"


def test_the_image_takes_others_by_digest():
    text = DOCKERFILE.read_text()
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    # No default, so that a build fails that does not name one.
    given = re.findall(r"^ARG (\w+)$", text, re.MULTILINE)

    assert len(bases) == 2
    for base in bases:
        digest = re.fullmatch(r"[^@]+@\$\{(\w+)\}", base)
        assert digest[1] in given and digest[1].endswith("_DIGEST")


def test_the_image_takes_uv_by_its_hash_and_names_its_user():
    text = DOCKERFILE.read_text()
    installed = re.findall(
        r"^RUN pip install (.*?)(?: \\)?$", text, re.MULTILINE
    )
    required = (DOCKERFILE.parent / "uv.txt").read_text()

    assert installed == ["--no-cache-dir --no-deps --require-hashes -r uv.txt"]
    assert re.search(
        r"^uv==[0-9.]+ \\\n +--hash=sha256:", required, re.MULTILINE
    )
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE) == ["root"]
