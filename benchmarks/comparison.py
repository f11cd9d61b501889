"""Trains methods and models under one protocol, and compares them.

    python benchmarks/comparison.py SUITE IMAGES OUTPUT

SUITE is "exits" (how exits are trained, RANet and MSDNet, and ResNets),
"lcnet" (what gates save, and ResNets) or "basisnet" (numbers of bases, and
MobileNets). IMAGES holds the CIFAR-10 images, `train/<class>/*` and
`test/<class>/*`. Within a suite images, their order and augmentation, epochs,
schedule and seeds are the same. `--parallel` trainings share the processor.
What has been trained in OUTPUT stays, for other suites, too; the command can be
killed and given again. It ends with `keras-dynamic compare` over the suite's
working directories: OUTPUT/SUITE/comparison.
"""

import argparse
import dataclasses
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
_STEPS = 45_000 // 64


@dataclasses.dataclass(frozen=True)
class Training:
    """One network, trained once.

    Attributes:
        config: Name of its configuration.
        settings: What differs from that and the protocol.
        seed: Of weights, order and augmentation.
        warming: A setting that is a number of steps: a third of them all.
    """

    config: str
    settings: dict = dataclasses.field(default_factory=dict)
    seed: int = 0
    warming: str = ""


_RANET, _MSDNET = "ranet_cifar10_model1", "msdnet_cifar10_batch_nb5"
_JOINT, _BOOSTED, _DISTILLED = (
    {"train.objective": name}
    for name in ("joint", "boosted", "self_distillation")
)
_GE = {**_JOINT, "train.gradient_equilibrium": True}


# L-Net and C-Net together, and each alone.
_GATED = ("lcnet_cifar10", "lcnet_cifar10_layers", "lcnet_cifar10_channels")


def _resnets(*depths: int) -> tuple[Training, ...]:
    return tuple(Training(f"resnet_cifar10_{n}", _JOINT) for n in depths)


def _lcnet(which: str, target: float, seed: int = 0) -> Training:
    goal = {"train.objective_arguments.target": target}
    return Training(
        which, goal, seed, "train.objective_arguments.annealing_steps"
    )


def _basisnet(bases: int, seed: int = 0, **others) -> Training:
    arguments = {"bases": bases, **others}
    settings = {f"model.arguments.{k}": v for k, v in arguments.items()}
    return Training(
        "basisnet_cifar10", settings, seed, "model.arguments.blend_steps"
    )


# In the order in which they run.
_SUITES = {
    "exits": (
        Training(_RANET, _JOINT),
        Training(_RANET, _BOOSTED),
        *_resnets(8, 14, 20),
        Training(_MSDNET, _JOINT),
        Training(_MSDNET, _BOOSTED),
        Training(_RANET, _GE),
        Training(_RANET, _DISTILLED),
        *(
            Training(_RANET, objective, seed)
            for seed in (1, 2)
            for objective in (_JOINT, _BOOSTED)
        ),
    ),
    "lcnet": (
        *(_lcnet(which, 0.5) for which in _GATED),
        *_resnets(38, 20, 14, 8),
        *(_lcnet(which, target) for target in (0.3, 0.7) for which in _GATED),
    ),
    "basisnet": (
        Training("mobilenet_v3_small_cifar10_w100", _JOINT),
        _basisnet(8),
        _basisnet(1),
        _basisnet(4),
        Training("mobilenet_v3_small_cifar10_w050", _JOINT),
        _basisnet(8, activation="softmax"),
        Training("mobilenet_v3_small_cifar10_w100", _JOINT, 1),
        _basisnet(8, seed=1),
    ),
}


def main() -> None:
    """Runs what is missing, then compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", choices=sorted(_SUITES))
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

    def train(training: Training) -> None:
        settings = {**common, **training.settings}
        if training.warming:
            settings[training.warming] = arguments.epochs * _STEPS // 3
        # Jobs of one directory that need the same images wait for each other.
        keras_dynamic(
            "sweep",
            f"--output={arguments.output}",
            f"--config={training.config}",
            f"--seeds={training.seed}",
            "--stages=prepare,train,evaluate",
            *(f"--set={name}={value}" for name, value in settings.items()),
        )

    suite = _SUITES[arguments.suite]
    with futures.ThreadPoolExecutor(arguments.parallel) as pool:
        list(pool.map(train, suite))
    results = [
        result
        for config in sorted({training.config for training in suite})
        for result in sorted(
            arguments.output.glob(f"jobs/{config}-*/result.json")
        )
    ]
    directory = arguments.output / arguments.suite
    directory.mkdir(exist_ok=True)
    keras_dynamic(
        "compare",
        f"--workdir={directory}",
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
