"""Measures speed, start and memory of training RANet "model1" on two threads.

    python benchmarks/training.py OUTPUT.json [--torch=PYTHON] [--repeats=3]

Random images, batches of 64, SGD with momentum. Each measurement is a process
of its own, and the variants take turns:

- ours: the step that `keras-dynamic train` takes, on TensorFlow;
- plain: without what is set for it (oneDNN, malloc, Grappler, threads);
- torch: the same graph in PyTorch (`training_torch.py`), if `--torch` names a
  Python that has it. It stands for the authors' code, whose layers it has.

Then, of ours, one run each: batches of 16 to 256, and the model up to each
exit; how long the imports, the model and the first step take, and the peak
memory.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import machine
import numpy as np

from pipeline.storage import publishing
from tflite.timing import latency

_CONFIG = "ranet_cifar10_model1"
_EXITS = 6
_BATCHES = (16, 32, 64, 128, 256)
_WARMUP, _STEPS = 3, 20
_THREADS = 2
# What PyTorch has to know of a layer.
_SETTINGS = ("filters", "kernel_size", "strides", "use_bias")
_SETTINGS += ("units", "height", "width")


def main() -> None:
    """Runs all and writes the result, or runs one and prints what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=("ours", "plain", "graph"))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--exits", type=int, default=_EXITS)
    parser.add_argument("--torch")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("output", nargs="?")
    given = parser.parse_args()
    if given.only == "graph":
        print(json.dumps(_graph(_model(given.exits))))
    elif given.only:
        print(json.dumps(_train(given.only, given.batch, given.exits)))
    else:
        publishing.write_json(given.output, _measure(given))


def _measure(given) -> dict:
    variants = {name: [*_self(), "--only", name] for name in ("ours", "plain")}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as graph:
        if given.torch:
            command = [*_self(), "--only", "graph"]
            graph.write(subprocess.check_output(command, text=True))
            graph.flush()
            script = pathlib.Path(__file__).with_name("training_torch.py")
            variants["torch"] = [given.torch, str(script), graph.name]
        runs = {name: [] for name in variants}
        for _ in range(given.repeats):
            for name, command in variants.items():
                runs[name].append(_child(command))
    speeds = {
        name: statistics.median(run["images_per_s"] for run in found)
        for name, found in runs.items()
    }
    batches = [
        _child([*_self(), "--only", "ours", f"--batch={batch}"])
        for batch in _BATCHES
    ]
    depths = [
        _child([*_self(), "--only", "ours", f"--exits={exits}"])
        for exits in range(1, _EXITS + 1)
    ]
    return {
        "command": machine.command_line(),
        "machine": machine.machine(),
        "versions": machine.versions(),
        "ratios": {
            name: speeds["ours"] / speed
            for name, speed in speeds.items()
            if name != "ours"
        },
        "images_per_s": speeds,
        "runs": runs,
        "by_batch": batches,
        "by_exits": depths,
    }


def _self() -> list[str]:
    return [sys.executable, __file__]


def _child(command: list[str]) -> dict:
    found = machine.child(command)
    steps = np.array(found.pop("steps_s"))
    found["step_ms"] = latency.summary(1e3 * steps)
    found["images_per_s"] = 1e3 * found["batch"] / found["step_ms"]["p50"]
    print(*command[2:], json.dumps(found), flush=True)
    return found


def _model(exits: int):
    import keras

    from pipeline import config
    from pipeline.training import network

    model = network.build(config.load(_CONFIG), 0)
    return keras.Model(model.input, model.outputs[:exits])


def _train(variant: str, batch: int, exits: int) -> dict:
    """Trains for some steps."""
    start = time.perf_counter()
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1" if variant == "ours" else "0"
    import tensorflow as tf

    from keras_dynamic import objectives
    from keras_dynamic.training import coupled_sgd
    from keras_dynamic.training.trainer import Trainer
    from pipeline.processes import memory
    from pipeline.training import tensorflow_settings

    if variant == "ours":
        memory.keep_freed_memory()
        tensorflow_settings.apply(_THREADS)
    else:
        tf.config.threading.set_intra_op_parallelism_threads(_THREADS)
    imported = time.perf_counter()
    trainer = Trainer(_model(exits), objectives.build("joint"))
    optimizer = coupled_sgd.CoupledSGD(0.1, nesterov=True)
    trainer.compile(optimizer=optimizer, jit_compile=False)
    optimizer.build(trainer.trainable_variables)
    trainer.make_train_function()
    built = time.perf_counter()
    generator = np.random.default_rng(0)
    images = generator.random((batch, 32, 32, 3), np.float32)
    labels = generator.integers(10, size=batch)

    def step() -> float:
        begun = time.perf_counter()
        means = trainer.train_function(iter([(images, labels)]))
        float(means["loss"])
        return time.perf_counter() - begun

    first = step()
    steps = [step() for _ in range(_WARMUP + _STEPS)][_WARMUP:]
    return {
        "batch": batch,
        "exits": exits,
        "import_s": imported - start,
        "model_s": built - imported,
        "first_step_s": first,
        "steps_s": steps,
    }


def _graph(model) -> dict:
    """Lists the calls of the model's layers, each after its inputs."""
    from keras_dynamic.graph import functional

    calls = []

    def call(layer, inputs) -> str:
        settings = layer.get_config()
        shapes = layer.input if isinstance(inputs, list) else [layer.input]
        calls.append(
            {
                "inputs": inputs if isinstance(inputs, list) else [inputs],
                "channels": shapes[0].shape[-1],
                "name": layer.name,
                "kind": type(layer).__name__,
                "settings": {
                    name: settings[name]
                    for name in _SETTINGS
                    if name in settings
                },
            }
        )
        return layer.name

    outputs = functional.follow(model, ["image"], call)
    return {"calls": calls, "input": "image", "outputs": outputs}


if __name__ == "__main__":
    main()
