"""Measures how fast networks of few wide or many narrow convolutions train.

    python benchmarks/training_speed.py OUTPUT.json [--rounds=3]

The step that `keras-dynamic train` takes, on TensorFlow and random images of 32
pixels, batches of 128. Each measurement is a process of its own, and in each
round every variant has its turn, so that what else runs beside weighs on all of
them alike: ratios count. After each step a process also times a product of
float32 matrices, 2048 by 2048, on all cores. GFLOP/s are 6 per multiply-add and
image: two forward and four backward.

Variants: each network in float32, one operation at a time on all cores; of the
widest and of RANet also bfloat16 (`mixed_bfloat16`), the same without the
processor's bfloat16 instructions, and as many operations at once as there are
cores, each on one of them.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable

import machine
import numpy as np

from pipeline.storage import publishing
from tflite.timing import latency

_BATCH, _WARMUP, _STEPS = 128, 3, 20
_MATRIX = 2048
_INPUT = {"input_shape": (32, 32, 3), "classes": 10}
_NETWORKS = {
    "ranet_cifar10_model1": None,
    "resnet_cifar10_20": None,
    "vgg_24_32_96_192": {
        "stem_width": 24,
        "widths": (32, 96, 192),
        "depths": (2, 2, 2),
    },
    "vgg_24_32_128_256": {
        "stem_width": 24,
        "widths": (32, 128, 256),
        "depths": (2, 2, 2),
    },
    "vgg_16_24_64_128": {
        "stem_width": 16,
        "widths": (24, 64, 128),
        "depths": (2, 2, 2),
    },
    "vgg_16_32_128_256": {
        "stem_width": 16,
        "widths": (32, 128, 256),
        "depths": (2, 2, 3),
        "residual": (2,),
    },
}
# By name: precision, cores per operation as in `core_per_operation_up_to`,
# and what the environment says.
_SETTINGS = {
    "float32": ("float32", 0, {}),
    "float32, operations side by side": ("float32", 64, {}),
    "bfloat16": ("mixed_bfloat16", 0, {}),
    "bfloat16, no bfloat16 instructions": (
        "mixed_bfloat16",
        0,
        {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"},
    ),
}
_IN_ALL_SETTINGS = ("ranet_cifar10_model1", "vgg_16_32_128_256")


def main() -> None:
    """Runs all and writes the result, or runs one and prints what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", choices=_NETWORKS)
    parser.add_argument("--setting", choices=_SETTINGS, default="float32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("output", nargs="?")
    given = parser.parse_args()
    if given.network:
        print(json.dumps(_train(given.network, given.setting)))
    else:
        publishing.write_json(given.output, _measure(given.rounds))


def _measure(rounds: int) -> dict:
    variants = [(network, "float32") for network in _NETWORKS]
    variants += [
        (network, setting)
        for network in _IN_ALL_SETTINGS
        for setting in list(_SETTINGS)[1:]
    ]
    runs = {variant: [] for variant in variants}
    for _ in range(rounds):
        for network, setting in variants:
            command = [sys.executable, __file__]
            command += [f"--network={network}", f"--setting={setting}"]
            environment = _SETTINGS[setting][2]
            command = [
                "env",
                *(f"{name}={value}" for name, value in environment.items()),
                *command,
            ]
            found = machine.child(command)
            print(network, setting, json.dumps(found), flush=True)
            runs[network, setting].append(found)
    return {
        "command": machine.command_line(),
        "machine": machine.machine(),
        "versions": machine.versions(),
        "batch": _BATCH,
        "steps": _STEPS,
        "variants": [
            _summary(network, setting, found)
            for (network, setting), found in runs.items()
        ],
    }


def _summary(network: str, setting: str, found: list[dict]) -> dict:
    """Returns medians over the rounds, and the numbers of each round."""
    names = ("images_per_s", "gflops", "matrix_gflops", "share_of_matrix")
    return {
        "network": network,
        "setting": setting,
        "madds": found[0]["madds"],
        **{
            name: statistics.median(run[name] for run in found)
            for name in names
        },
        "rounds": found,
    }


def _train(network: str, setting: str) -> dict:
    """Trains for some steps."""
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
    import keras

    from keras_dynamic import objectives
    from keras_dynamic.graph import cost
    from keras_dynamic.training import coupled_sgd
    from keras_dynamic.training.trainer import Trainer
    from pipeline.processes import memory
    from pipeline.training import tensorflow_settings

    precision, per_operation, _ = _SETTINGS[setting]
    memory.keep_freed_memory()
    tensorflow_settings.apply(per_operation)
    product = _product()
    keras.config.set_dtype_policy(precision)
    model = _model(network)
    keras.config.set_dtype_policy("float32")
    madds = cost.exit_costs(model)[-1].madds
    trainer = Trainer(model, objectives.build("joint"))
    optimizer = coupled_sgd.CoupledSGD(0.01, nesterov=True)
    trainer.compile(optimizer=optimizer, jit_compile=False)
    optimizer.build(trainer.trainable_variables)
    trainer.make_train_function()
    generator = np.random.default_rng(0)
    images = generator.random((_BATCH, 32, 32, 3), np.float32)
    labels = generator.integers(10, size=_BATCH)

    def step() -> None:
        means = trainer.train_function(iter([(images, labels)]))
        float(means["loss"])

    for _ in range(_WARMUP):
        step()
        product()
    times = np.array(
        [(_seconds(step), _seconds(product)) for _ in range(_STEPS)]
    )
    steps, products = times.T
    work = 6e-9 * madds * _BATCH
    matrix_work = 2e-9 * _MATRIX**3
    return {
        "madds": madds,
        "step_ms": latency.summary(1e3 * steps),
        "images_per_s": _BATCH / np.median(steps),
        "gflops": work / np.median(steps),
        "matrix_gflops": matrix_work / np.median(products),
        "share_of_matrix": work / matrix_work * products.sum() / steps.sum(),
    }


def _seconds(call: Callable[[], None]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _model(network: str):
    from keras_dynamic import models
    from pipeline import config
    from pipeline.training.network import build

    if _NETWORKS[network] is None:
        return build(config.load(network), 0)
    return models.build("vgg", **_INPUT, **_NETWORKS[network])


def _product() -> Callable[[], None]:
    """Returns a function that multiplies two matrices, on all cores."""
    import tensorflow as tf

    generator = np.random.default_rng(0)
    shape = (2, _MATRIX, _MATRIX)
    factors = [*tf.constant(generator.random(shape, np.float32))]
    return lambda: tf.linalg.matmul(*factors).numpy()


if __name__ == "__main__":
    main()
