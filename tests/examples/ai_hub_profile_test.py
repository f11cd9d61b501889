"""The logic of examples/ai_hub against a client that only plays the service.

Nothing here says that the service works: it cannot be reached from a test.
"""

import os
import pathlib
import subprocess
import sys

import pytest

from examples.ai_hub import profile
from tests.support import small_bundle

ROOT = pathlib.Path(__file__).parents[2]


class FakeJob:
    """Answers as a finished job of the service would; it measured nothing."""

    def __init__(self, microseconds, job_id="fake"):
        self.microseconds = microseconds
        self.job_id = job_id

    def download_profile(self):
        if self.microseconds is None:  # What a failed job gives.
            return {}
        return {
            "execution_summary": {"estimated_inference_time": self.microseconds}
        }


class FakeHub:
    """Plays the service, and keeps what it was asked for."""

    def __init__(self, microseconds):
        self.microseconds = list(microseconds)
        self.asked = []

    def get_devices(self, name):
        return [f"phone {name}"] if name.startswith("known") else []

    def submit_inference_job(self, model, device, *, name, options, profile):
        assert profile
        assert pathlib.Path(model).is_file()
        self.asked.append((pathlib.Path(model).name, device, options))
        return FakeJob(self.microseconds.pop(0))


@pytest.fixture
def written(tmp_path):
    """The directory of a small bundle with three exits."""
    small_bundle.write(tmp_path / "bundle")
    return tmp_path / "bundle"


def test_milliseconds_of_every_segment_on_every_device(written):
    files = [f"exit_{k}.tflite" for k in range(3)]
    hub = FakeHub([1000, 2500, 500, 10, 20, 40])
    found = profile.profile(str(written), ["known a", "known b"], hub)
    assert list(found) == ["known a", "known b"]
    for device, times in zip(
        found.values(), [[1.0, 2.5, 0.5], [0.01, 0.02, 0.04]], strict=True
    ):
        assert device["segment_ms"] == dict(zip(files, times, strict=True))
        assert device["exit_ms"] == pytest.approx(
            [times[0], sum(times[:2]), sum(times)]
        )
    assert [each[:2] for each in hub.asked] == [
        (file, f"phone known {name}") for name in "ab" for file in files
    ]


def test_an_unknown_device_uploads_nothing(written):
    hub = FakeHub([])
    with pytest.raises(ValueError, match="`devices`"):
        profile.profile(str(written), ["known a", "other"], hub)
    assert hub.asked == []


@pytest.mark.parametrize("microseconds", [None, 0])
def test_a_job_without_a_time_is_an_error(written, microseconds):
    with pytest.raises(ValueError, match="`execution_summary`"):
        profile.profile(str(written), ["known"], FakeHub([1, microseconds, 1]))


def test_no_bundle_and_no_token_are_said_in_one_line(written, tmp_path):
    for path, word in [(tmp_path / "none", "BUNDLE"), (written, "token")]:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "examples.ai_hub.profile", path),
                *(tmp_path / "costs.json", "phone"),
            ],
            cwd=ROOT,
            env=os.environ | {"HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert word in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "costs.json").exists()
