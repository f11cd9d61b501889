"""Kills a preparation with SIGKILL at random moments: the data stays whole.

    python benchmarks/preparation_faults.py OUTPUT.json [KILLS] [IMAGES]

A data set is published. Then another preparation, with another seed, is to
replace it and is killed at a moment drawn evenly from its duration; one that
ended before its moment does not count. Each begins with the old data set, and
with what earlier kills left behind. After a kill the published data must be
whole, the old or the new: every shard that the manifest names has its hash.
After all of them a run must succeed and leave nothing else behind.
"""

import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import machine

from pipeline.data import manifest
from pipeline.storage import publishing


def main(output: str, kills: str = "20", images: str = "10000") -> None:
    """Kills preparations, checks the data, and writes a report to `output`."""
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        first = _prepare(root, 0, int(images))
        old = _whole(root / "out")
        other = _prepare(root / "other", 1, int(images))
        new = _whole(root / "other" / "out")
        duration = min(first["wall_s"], other["wall_s"])
        shutil.copytree(root / "out", root / "old")
        rows, ended = [], 0
        while len(rows) < int(kills):
            shutil.rmtree(root / "out")
            shutil.copytree(root / "old", root / "out")
            after = rng.uniform(0, duration)
            process = _start(root, 1, int(images))
            time.sleep(after)
            process.send_signal(signal.SIGKILL)
            if process.wait() != -signal.SIGKILL:
                ended += 1
                continue
            found = _whole(root / "out")
            left = [name for name in os.listdir(root) if "partial" in name]
            rows.append(
                {
                    "after_s": after,
                    "data": {old: "old", new: "new"}.get(found, "broken"),
                    "unpublished": len(left),
                }
            )
            print(rows[-1], flush=True)
        _prepare(root, 1, int(images))
        left = sorted(os.listdir(root))
    publishing.write_json(
        output,
        {
            "command": machine.command_line(),
            "seconds_of_a_run": duration,
            "kills": rows,
            "ended_before": ended,
            "broken": sum(row["data"] == "broken" for row in rows),
            "next_run_succeeds": True,
            "left_behind": [
                name
                for name in left
                if name not in ("0.json", "1.json", "old", "other", "out")
            ],
            "machine": machine.machine(),
            "versions": machine.versions(),
        },
    )


def _start(root: pathlib.Path, seed: int, images: int) -> subprocess.Popen:
    root.mkdir(exist_ok=True)
    data = root / f"{seed}.json"
    data.write_text(
        json.dumps(
            {
                "source": "synthetic",
                "source_options": {"images": images},
                "shard_images": 1000,
                "seed": seed,
            }
        )
    )
    script = pathlib.Path(__file__).with_name("prepared.py")
    command = [sys.executable, str(script), str(data), str(root / "out")]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _prepare(root: pathlib.Path, seed: int, images: int) -> dict:
    start = time.perf_counter()
    if code := _start(root, seed, images).wait():
        raise RuntimeError(f"the preparation ended with {code}")
    return {"wall_s": time.perf_counter() - start}


def _whole(directory: pathlib.Path) -> str:
    """Returns a hash of the data set; "" unless every shard is as it must."""
    digest = hashlib.sha256()
    for row in manifest.read(directory)["shards"]:
        data = (directory / row["file"]).read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if found != row["sha256"]:
            return ""
        digest.update(found.encode())
    return digest.hexdigest()


if __name__ == "__main__":
    main(*sys.argv[1:])
