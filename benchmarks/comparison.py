"""Trains methods and models under one protocol, and compares them.

    python benchmarks/comparison.py IMAGES OUTPUT [--epochs=2] [--parallel=2]

IMAGES holds the CIFAR-10 images, `train/<class>/*` and `test/<class>/*`. Within
the comparison images, their order and augmentation, epochs, schedule and seeds
are the same. `--parallel` trainings share the processor. What has been trained
in OUTPUT stays; the command can be killed and given again. It ends with
`keras-dynamic compare` over all working directories: OUTPUT/comparison.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
from concurrent import futures

# Of the reference run: RANet's authors' code, four epochs of 45,000 images
# in batches of 64, SGD with Nesterov's momentum, a cosine from 0.1.
_PROTOCOL = {
    "train.schedule": "cosine",
    "train.nesterov": True,
    "train.select": "last",
    "data.fractions.validation": 0.05,
    "data.fractions.calibration": 0.05,
}
_RANET, _MSDNET = "ranet_cifar10_model1", "msdnet_cifar10_batch_nb5"
_STATIC = ("resnet_cifar10_8", "resnet_cifar10_14", "resnet_cifar10_20")
_GE = {"train.gradient_equilibrium": True}
# Configuration, objective, further settings and seed, in the order they run.
_JOBS = (
    (_RANET, "joint", {}, 0),
    (_RANET, "boosted", {}, 0),
    *((name, "joint", {}, 0) for name in _STATIC),
    (_MSDNET, "joint", {}, 0),
    (_MSDNET, "boosted", {}, 0),
    (_RANET, "joint", _GE, 0),
    (_RANET, "self_distillation", {}, 0),
    (_RANET, "joint", {}, 1),
    (_RANET, "boosted", {}, 1),
    (_RANET, "joint", {}, 2),
    (_RANET, "boosted", {}, 2),
)


def main() -> None:
    """Runs what is missing, then compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--parallel", type=int, default=2)
    arguments = parser.parse_args()
    threads = max(1, os.cpu_count() // arguments.parallel)
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    common = {
        **_PROTOCOL,
        "train.epochs": arguments.epochs,
        "data.source_options.path": arguments.images.absolute(),
    }

    def train(job: tuple) -> None:
        config, objective, settings, seed = job
        chosen = {**common, "train.objective": objective, **settings}
        # Jobs of one directory that need the same images wait for each other.
        keras_dynamic(
            "sweep",
            f"--output={arguments.output}",
            f"--config={config}",
            f"--seeds={seed}",
            "--stages=prepare,train,evaluate",
            *(f"--set={name}={value}" for name, value in chosen.items()),
        )

    with futures.ThreadPoolExecutor(arguments.parallel) as pool:
        list(pool.map(train, _JOBS))
    results = sorted(arguments.output.glob("jobs/*/result.json"))
    keras_dynamic(
        "compare",
        f"--workdir={arguments.output}",
        *(str(result.parent / "work") for result in results),
    )
    for result in results:
        seconds = json.loads(result.read_text())["seconds"]
        print(f"{seconds:8.0f} s  {result.parent.name}")


def keras_dynamic(*arguments: str) -> None:
    """Runs the command line."""
    again = "from pipeline import cli; cli.main()"
    subprocess.run([sys.executable, "-c", again, *arguments], check=True)


if __name__ == "__main__":
    main()
