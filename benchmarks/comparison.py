"""Trains methods and models under one protocol, as one resumable sweep.

    python benchmarks/comparison.py IMAGES OUTPUT [--epochs=4]

IMAGES holds the CIFAR-10 images, `train/<class>/*` and `test/<class>/*`. Within
the comparison images, their order and augmentation, epochs, schedule and seeds
are the same. What has been trained in OUTPUT stays; the command can be killed
and given again. It ends with `keras-dynamic compare` over all working
directories: OUTPUT/comparison.
"""

import argparse
import json
import pathlib
import subprocess
import sys

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
# Configurations, settings and seeds: what says most comes first.
_JOBS = (
    ((_RANET,), {"train.objective": "joint"}, (0,)),
    ((_RANET,), {"train.objective": "boosted"}, (0,)),
    (_STATIC, {"train.objective": "joint"}, (0,)),
    ((_MSDNET,), {"train.objective": "joint"}, (0,)),
    ((_MSDNET,), {"train.objective": "boosted"}, (0,)),
    (
        (_RANET,),
        {"train.objective": "joint", "train.gradient_equilibrium": True},
        (0,),
    ),
    ((_RANET,), {"train.objective": "self_distillation"}, (0,)),
    ((_RANET,), {"train.objective": "joint"}, (1, 2)),
    ((_RANET,), {"train.objective": "boosted"}, (1, 2)),
)


def main() -> None:
    """Runs what is missing, then compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=4)
    arguments = parser.parse_args()
    common = {
        **_PROTOCOL,
        "train.epochs": arguments.epochs,
        "data.source_options.path": arguments.images.absolute(),
    }
    for configs, settings, seeds in _JOBS:
        keras_dynamic(
            "sweep",
            f"--output={arguments.output}",
            f"--config={','.join(configs)}",
            f"--seeds={','.join(map(str, seeds))}",
            "--stages=prepare,train,evaluate",
            *(f"--set={k}={v}" for k, v in {**common, **settings}.items()),
        )
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
