"""Compares the methods of quantization on trained networks.

    python benchmarks/quantizers.py [--steps=N] [--images=N] [--methods=A,B] \
        benchmarks/results/quantizers.csv WORKDIR...

Each WORKDIR holds a network that `keras-dynamic train` and `evaluate` have
made. It is quantized by each method, in a process of its own, after the same
steps on the same batches; its working directory stays as it is. The table has
a row per network, method and exit: seconds to build the model with fake
quantization, of a step (the median, the first three left out) and to convert;
the accuracy of the int8 exit and of the float one on the first images of the
test split; how many operators are not int8; into how many pieces XNNPACK takes
the chain, and how many operators it leaves.
"""

import argparse
import csv
import functools
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

_COLUMNS = (
    "network",
    "method",
    "steps",
    "seconds_build",
    "seconds_step",
    "seconds_convert",
    "exit",
    "accuracy_float",
    "accuracy_int8",
    "images",
    "operators",
    "not_int8",
    "partitions",
    "left",
)


def main() -> None:
    """Writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output")
    parser.add_argument("workdirs", nargs="+")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--methods", default="tfmot,keras,ptq")
    given = parser.parse_args()
    with open(given.output, "w", newline="") as file:
        table = csv.DictWriter(file, _COLUMNS)
        table.writeheader()
        for workdir in given.workdirs:
            for method in given.methods.split(","):
                job = [workdir, method, str(given.steps), str(given.images)]
                done = subprocess.run(
                    [sys.executable, __file__, "--one", *job],
                    check=True,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                table.writerows(json.loads(done.stdout.splitlines()[-1]))
                file.flush()


def measured(workdir: str, method: str, steps: int, images: int) -> list[dict]:
    """Quantizes one network by one method, and returns a row per exit."""
    import keras
    import ml_collections
    import numpy as np

    from pipeline.data import augmentation, dataset
    from pipeline.quantization import quantize
    from pipeline.results.layout import Layout
    from pipeline.training import tensorflow_settings
    from tflite.cutting import split
    from tflite.diagnosis import delegation, equivalence
    from tflite.format import int8_only
    from tflite.quantization import conversion, methods
    from tflite.runtime import whole_model

    layout = Layout(pathlib.Path(workdir))
    config = ml_collections.ConfigDict(json.loads(layout.config.read_text()))
    config.quantize.steps = steps
    memory = config.memory_gib * 2**30
    keras.utils.set_random_seed(config.seed)
    tensorflow_settings.apply(config.train.core_per_operation_up_to)
    training = dataset.open_split(layout.data, "train", memory=memory)
    task = quantize.task_of(config, layout, training)

    started = time.perf_counter()
    quantized = methods.get(method)(task)
    build = time.perf_counter() - started
    seconds = []
    if quantized.trains:
        before = time.perf_counter()
        for _ in quantized.fine_tune(
            functools.partial(quantize.tuning_batches, config, training),
            learning_rate=config.quantize.learning_rate,
            steps=steps,
        ):
            seconds.append(time.perf_counter() - before)
            before = time.perf_counter()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        saved = pathlib.Path(directory, "saved")
        quantized.save(saved)
        model = conversion.converted(saved)
    convert = time.perf_counter() - started

    test = dataset.load(layout.data, "test")
    pixels = augmentation.center_crop(test.images[:images], config.model.size)
    labels = test.labels[:images]
    whole = whole_model.Unsplit(model)
    int8 = np.stack([whole.logits(image) for image in pixels], axis=1)
    plain = task.model.predict(pixels / np.float32(255), verbose=0)
    plain = plain if isinstance(plain, list) else [plain]
    taken = [
        delegation.delegation(each.model)
        for each in split.split(model, [f"exit_{k}" for k in range(task.exits)])
    ]
    return [
        {
            "network": config.name,
            "method": method,
            "steps": len(seconds),
            "seconds_build": round(build, 2),
            "seconds_step": round(statistics.median(seconds[3:]), 4)
            if seconds[3:]
            else "",
            "seconds_convert": round(convert, 2),
            "exit": exit,
            "accuracy_float": _accuracy(np.asarray(plain[exit]), labels),
            "accuracy_int8": _accuracy(int8[exit], labels),
            "images": len(labels),
            "operators": equivalence.operators(model),
            "not_int8": len(int8_only.exceptions(model)),
            "partitions": sum(each.partitions for each in taken),
            "left": sum(len(each.left) for each in taken),
        }
        for exit in range(task.exits)
    ]


def _accuracy(logits, labels) -> float:
    return round(float((logits.argmax(axis=-1) == labels).mean()), 4)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        workdir, method, steps, images = sys.argv[2:]
        rows = measured(workdir, method, int(steps), int(images))
        print(json.dumps(rows))
    else:
        main()
