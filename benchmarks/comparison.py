"""Trains methods and models under one protocol, and compares them.

    python benchmarks/comparison.py SUITE IMAGES OUTPUT

SUITE is "exits" (how exits are trained, RANet and MSDNet, and ResNets), "lcnet"
(what gates save on ResNet-38, and ResNets), "lcnet_deep" (on ResNet-74) or
"basisnet" (numbers of bases, and MobileNets). A training that starts from the
weights of another has --more epochs after the --epochs of that. IMAGES holds
the CIFAR-10 images, `train/<class>/*` and `test/<class>/*`. Within a suite
images, their order and augmentation, epochs, schedule and seeds are the same.
`--parallel` trainings share the processor. What has been trained in OUTPUT
stays, for other suites, too; the command can be killed and given again. It ends
with `keras-dynamic compare` over the suite's working directories:
OUTPUT/SUITE/comparison. With `--int8` networks are quantized, converted and
checked, too, and at last timed, one by one, beside the suite's first.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
from concurrent import futures

from pipeline.sweep import sweep_experiments

# Of the reference run: RANet's authors' code, four epochs of 45,000 images
# in batches of 64, SGD with Nesterov's momentum, a cosine from 0.1.
_PROTOCOL = {
    "train.schedule": "cosine",
    "train.nesterov": True,
    "train.select": "last",
    "data.fractions.validation": 0.05,
    "data.fractions.calibration": 0.05,
}
# Of the other suites: half as many steps, and arithmetic that takes less time.
_LARGE = {"train.batch_size": 128}
_FAST = {**_LARGE, "train.precision": "mixed_bfloat16"}
_IMAGES = 45_000
# For `--int8`: short, as the trainings are.
_QUANTIZED = ("--config.quantize.steps=200", "--config.check.max_points=1.5")


@dataclasses.dataclass(frozen=True)
class Training:
    """Describes one network, trained once.

    Attributes:
        config: Name of its configuration.
        settings: Settings that differ from the configuration and the protocol.
        seed: Seed of weights, order and augmentation.
        warming: A setting that is a number of steps: `warming_share` of all.
        warming_share: Share of the steps.
        start: Training that is run before; its weights begin.
    """

    config: str
    settings: dict = dataclasses.field(default_factory=dict)
    seed: int = 0
    warming: str = ""
    warming_share: float = 1 / 3
    start: "Training | None" = None


_RANET, _MSDNET = "ranet_cifar10_model1", "msdnet_cifar10_batch_nb5"
_JOINT, _BOOSTED, _DISTILLED = (
    {"train.objective": name}
    for name in ("joint", "boosted", "self_distillation")
)
_GE = {**_JOINT, "train.gradient_equilibrium": True}


def _resnets(*depths: int) -> tuple[Training, ...]:
    return tuple(Training(f"resnet_cifar10_{n}", _JOINT) for n in depths)


# Gates close in a network that has learned without them, at half of its
# learning rate. The plain networks beside it go on as long.
_AFTERWARDS = {**_FAST, "train.learning_rate": 0.05}


def _plain(depth: int) -> Training:
    [resnet] = _resnets(depth)
    begins = {"model.arguments.zero_init_residual": True}
    settings = {**resnet.settings, **begins}
    start = dataclasses.replace(resnet, settings={**settings, **_FAST})
    return dataclasses.replace(
        resnet, settings={**settings, **_AFTERWARDS}, start=start
    )


# L-Net and C-Net together, and each alone.
_GATED = ("lcnet_cifar10_layers", "lcnet_cifar10_channels", "lcnet_cifar10")


def _lcnet(which: str, target: float, depth: int = 38) -> Training:
    return Training(
        which,
        {
            "train.objective_arguments.target": target,
            "model.arguments.backbone.blocks": (depth - 2) // 6,
            **_AFTERWARDS,
        },
        warming="model.arguments.annealing_steps",
        warming_share=1 / 2,
        start=_plain(depth).start,
    )


def _basisnet(bases: int, seed: int = 0, **others) -> Training:
    arguments = {"bases": bases, **others}
    settings = {f"model.arguments.{k}": v for k, v in arguments.items()}
    return Training(
        "basisnet_cifar10",
        {**settings, **_LARGE},
        seed,
        "model.arguments.blend_steps",
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
        *map(_plain, (38, 20, 14, 8)),
        *(
            _lcnet(which, target)
            for target in (0.5, 0.3, 0.7)
            for which in _GATED
        ),
    ),
    "lcnet_deep": (_plain(74), _lcnet("lcnet_cifar10_layers", 0.5, 74)),
    "basisnet": (
        Training("mobilenet_v3_small_cifar10_w100", {**_JOINT, **_LARGE}),
        *map(_basisnet, (8, 1, 4)),
        Training("mobilenet_v3_small_cifar10_w050", {**_JOINT, **_LARGE}),
    ),
}


def main() -> None:
    """Runs what is missing, then compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", choices=sorted(_SUITES))
    parser.add_argument("images", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--more", type=int, default=2)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--int8", action="store_true")
    arguments = parser.parse_args()
    threads = max(1, os.cpu_count() // arguments.parallel)
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    common = {
        **_PROTOCOL,
        "data.source_options.path": arguments.images.absolute(),
    }

    def train(training: Training) -> pathlib.Path:
        epochs = arguments.more if training.start else arguments.epochs
        settings = {**common, "train.epochs": epochs, **training.settings}
        if training.warming:
            steps = epochs * (_IMAGES // settings.get("train.batch_size", 64))
            settings[training.warming] = int(steps * training.warming_share)
        if training.start:
            trained = train(training.start) / "work/model/float.keras"
            settings["train.initial_weights"] = trained
        # Jobs of one directory that need the same images, or the same job,
        # wait for each other.
        keras_dynamic(
            "sweep",
            f"--output={arguments.output}",
            f"--config={training.config}",
            f"--seeds={training.seed}",
            "--stages=prepare,train,evaluate",
            *(f"--set={name}={value}" for name, value in settings.items()),
        )
        [job] = sweep_experiments.plan(
            [training.config],
            str(arguments.output.absolute()),
            seeds=[training.seed],
            overrides={name: [str(each)] for name, each in settings.items()},
        )
        return pathlib.Path(job.directory)

    def finish(job: pathlib.Path) -> None:
        if not (job / "work/stages/check.json").exists():
            for verb in ("quantize", "convert", "check"):
                stage(verb, job, *_QUANTIZED)

    suite = _SUITES[arguments.suite]
    with futures.ThreadPoolExecutor(arguments.parallel) as pool:
        jobs = list(pool.map(train, suite))
        if arguments.int8:
            list(pool.map(finish, jobs))
    first, *others = jobs
    for job in others if arguments.int8 else ():
        beside = f"--config.benchmark.others=('{first / 'work'}',)"
        stage("benchmark", job, *_QUANTIZED, beside)
    directory = arguments.output / arguments.suite
    directory.mkdir(exist_ok=True)
    keras_dynamic(
        "compare",
        f"--workdir={directory}",
        *(str(job / "work") for job in jobs),
    )
    for job in jobs:
        seconds = json.loads((job / "result.json").read_text())["seconds"]
        print(f"{seconds:8.0f} s  {job.name}")


def stage(verb: str, job: pathlib.Path, *flags: str) -> None:
    """Runs a stage in a job's working directory."""
    config, work = f"--config={job / 'config.py'}", f"--workdir={job / 'work'}"
    keras_dynamic(verb, config, work, *flags)


def keras_dynamic(*arguments: str) -> None:
    """Runs the command line."""
    again = "from pipeline.cli import main; main.main()"
    subprocess.run([sys.executable, "-c", again, *arguments], check=True)


if __name__ == "__main__":
    main()
