"""A bundle on emulated 64-bit Arm; `make test-arm64` fetches what it needs."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from pipeline.data import dataset

pytestmark = pytest.mark.arm64

ROOT = pathlib.Path(__file__).parents[2]
ARM64 = ROOT / ".arm64"
WORKDIR = ROOT / os.environ.get("WORKDIR", "runs/demo")
PROGRAM = pathlib.Path(__file__).with_name("exit_logits.py")
# XNNPACK takes other int8 kernels on each: Armv8.0 has no dot products, the A76
# has them, "max" has matrix products (i8mm) and SVE, too.
PROCESSORS = (
    "cortex-a53",
    "cortex-a76",
    "max,sme=off",
    pytest.param(
        "max",
        marks=pytest.mark.xfail(
            raises=AssertionError,
            strict=True,
            reason="XNNPACK of LiteRT 2.1.6 gives noise with qemu 7.2's SME",
        ),
    ),
)
# Enough for a machine that is busy with other work.
PATIENCE = 1200


def run(command, *paths):
    """Returns the logits of each exit, [N, C], that the program writes."""
    bundle, images, target = map(str, paths)
    ended = subprocess.run(
        [*map(str, command), str(PROGRAM), bundle, images, target],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    if ended.returncode:
        pytest.fail(ended.stderr)
    with np.load(target) as arrays:
        return list(arrays.values())


def emulated(processor):
    """The command that is `python3.11` on that processor."""
    system = ARM64 / "system"
    emulator = [ARM64 / "qemu-aarch64-static", "-cpu", processor, "-L", system]
    path = f"PYTHONPATH={ROOT}:{ARM64 / 'packages'}"
    # -S -s: nothing of this machine's own Python on the path.
    return [*emulator, "-E", path, system / "usr/bin/python3.11", "-S", "-s"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """The file with all test images."""
    pixels = dataset.load(str(WORKDIR / "data"), "test").images
    path = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(path, pixels)
    return path


@pytest.fixture(scope="module")
def expected(images):
    """The logits of this machine, with its own interpreter."""
    target = images.with_name("x86-64.npz")
    return run([sys.executable], WORKDIR / "bundle", images, target)


@pytest.mark.parametrize("processor", PROCESSORS)
def test_every_logit_is_that_of_x86_64(images, expected, processor):
    target = images.with_name(f"{processor}.npz")
    found = run(emulated(processor), WORKDIR / "bundle", images, target)
    assert len(found) == len(expected)
    apart = [
        np.abs(ours.astype(np.int64) - theirs)
        for ours, theirs in zip(found, expected, strict=True)
    ]
    summary = [
        f"exit {exit}: {np.count_nonzero(each)} of {each.size} differ, "
        f"by {each.max()} at most"
        for exit, each in enumerate(apart)
    ]
    print(f"\n{processor}, {len(found[0])} images", *summary, sep="\n  ")
    assert not any(map(np.any, apart)), summary
