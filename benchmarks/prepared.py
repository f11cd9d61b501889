"""Runs one preparation in a process of its own, for the other benchmarks.

    python benchmarks/prepared.py DATA.json OUTPUT [BEAM OPTIONS]

DATA.json holds what differs in `config.data` from the defaults. Prints, as
JSON, the seconds without imports and a hash over the shards of the manifest.
"""

import json
import pathlib
import sys
import time

from pipeline.config import default
from pipeline.prepare import prepare_images
from pipeline.storage import fingerprint


def main(data: str, output: str, *beam_args: str) -> None:
    """Prepares into `output`."""
    config = default()
    with config.unlocked():
        config.data.update(json.loads(pathlib.Path(data).read_text()))
    start = time.perf_counter()
    found = prepare_images.prepare(config, output, beam_args)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - start,
                "images": sum(found["counts"].values()),
                "rejected": found["rejected"],
                "listed": found["listed"],
                "dropped": found["duplicates"]["dropped"],
                "shards": len(found["shards"]),
                "sha256": fingerprint.of(found["shards"]),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
