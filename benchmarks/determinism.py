"""Compares the hash of all shards from every runner: they must be the same.

    python benchmarks/determinism.py IMAGES OUTPUT.json [FLINK OPTIONS]

IMAGES is a folder with one directory per class, or with train/ and test/.
FLINK OPTIONS are what `make flink-up` leaves in .flink/beam-options.
"""

import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import machine

from pipeline.storage import publishing

_LOCAL = {
    "in memory": [],
    "threads, 2 workers": [
        "--direct_num_workers=2",
        "--direct_running_mode=multi_threading",
    ],
    "processes, 1 worker": [
        "--direct_num_workers=1",
        "--direct_running_mode=multi_processing",
    ],
    "processes, 2 workers": [
        "--direct_num_workers=2",
        "--direct_running_mode=multi_processing",
    ],
}

_JOB_SERVER = """
import runpy
from pipeline.beam import loopback
with loopback.only():
    module = "apache_beam.runners.portability.local_job_service_main"
    runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def main(images: str, output: str, *flink: str) -> None:
    """Prepares on every runner and writes the hashes to `output`."""
    script = str(pathlib.Path(__file__).with_name("prepared.py"))
    with tempfile.TemporaryDirectory() as directory, _job_server() as port:
        runners = dict(_LOCAL)
        runners["portable, LOOPBACK"] = [
            "--runner=PortableRunner",
            f"--job_endpoint=localhost:{port}",
            "--environment_type=LOOPBACK",
        ]
        if flink:
            for workers in (1, 2):
                runners[f"Flink, parallelism {workers}"] = [
                    *flink,
                    f"--parallelism={workers}",
                ]
        data = pathlib.Path(directory, "data.json")
        data.write_text(
            json.dumps(
                {"storage": "encoded", "source_options": {"path": images}}
            )
        )
        rows = {}
        for name, options in runners.items():
            command = [sys.executable, script, str(data), f"{directory}/{name}"]
            rows[name] = machine.child([*command, *options])
            print(name, rows[name], flush=True)
    publishing.write_json(
        output,
        {
            "command": "python benchmarks/determinism.py IMAGES OUTPUT.json",
            "equal": len({row["sha256"] for row in rows.values()}) == 1,
            "runners": rows,
            "machine": machine.machine(),
            "versions": machine.versions(),
        },
    )


@contextlib.contextmanager
def _job_server() -> Iterator[int]:
    """Runs Beam's own portable job server; yields its port."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", _JOB_SERVER, f"-p{port}"])
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                socket.create_connection(("localhost", port), 1).close()
                break
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
