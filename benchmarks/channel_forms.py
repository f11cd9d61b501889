"""Times the forms in which a residual block can leave out channels.

    python benchmarks/channel_forms.py FILE.json [--rounds=300]

For the blocks of a CIFAR ResNet, int8, one thread: the branch with all of its
inner channels; a slice, with the first of them only, as in DS-Net (arXiv
2103.13258); and groups, as LC-Net has here, each a branch from the block's
input to its output, of which some are summed. All in one process, in random
order. Times are of the kernels, without what a chain adds per segment.
"""

import argparse
import pathlib
import time

import keras
import machine
import numpy as np
from converted import converted

from keras_dynamic.models.resnet import residual_branch
from pipeline.storage import publishing
from tflite.runtime import interpreter
from tflite.timing import latency

# Height and width of the map, and its channels.
_BLOCKS = ((32, 16), (16, 32), (8, 64))
_GROUPS = (2, 4)
_SEED = 0


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=300)
    arguments = parser.parse_args()
    rows = []
    for side, channels in _BLOCKS:
        forms = {("dense", 1, 1): _runner(side, channels, [channels])}
        for groups in _GROUPS:
            inner = channels // groups
            for used in range(1, groups + 1):
                forms["groups", groups, used] = _runner(
                    side, channels, [inner] * used
                )
                if used < groups:
                    forms["slice", groups, used] = _runner(
                        side, channels, [inner * used]
                    )
        times = _times(list(forms.values()), arguments.rounds)
        dense = np.median(times[0])
        for (form, groups, used), spent in zip(forms, times, strict=True):
            rows.append(
                {
                    "map": f"{side}x{side}x{channels}",
                    "form": form,
                    "parts": groups,
                    "used": used,
                    "milliseconds": latency.summary(spent),
                    "of_dense": float(np.median(spent) / dense),
                }
            )
            print(
                f"{side:3}x{side}x{channels}  {form:6} {used}/{groups}  "
                f"{np.median(spent):.4f} ms  {rows[-1]['of_dense']:.2f}"
            )
    publishing.write_json(
        arguments.output,
        {
            "rows": rows,
            "rounds": arguments.rounds,
            "machine": machine.machine(),
            "versions": machine.versions(),
        },
    )


def _runner(side, channels, widths):
    """Returns a function that runs a sum of branches of inner widths, int8."""
    keras.utils.set_random_seed(_SEED)
    image = keras.Input((side, side, channels), name="image")
    branches = [
        residual_branch(
            image, channels, inner=width, strides=1, name=f"part{part}"
        )
        for part, width in enumerate(widths)
    ]
    total = branches[0]
    for part, branch in enumerate(branches[1:], start=1):
        total = keras.layers.Add(name=f"sum{part}")([total, branch])
    total = keras.layers.Activation("linear", name="exit_0")(total)
    network = keras.Model(image, total)
    rng = np.random.default_rng(_SEED)
    batch = rng.random((8, side, side, channels), np.float32)
    loaded = interpreter.load(converted(network, batch))
    [given] = loaded.get_input_details()
    pixels = rng.integers(-128, 128, given["shape"], np.int8)
    loaded.set_tensor(given["index"], pixels)
    return loaded.invoke


def _times(runs, rounds):
    """Measures milliseconds of each, [runs, rounds], in random order."""
    rng = np.random.default_rng(_SEED)
    found = np.zeros((len(runs), rounds))
    for index in range(-20, rounds):
        for which in rng.permutation(len(runs)):
            start = time.perf_counter()
            runs[which]()
            if index >= 0:
                found[which, index] = 1e3 * (time.perf_counter() - start)
    return found


if __name__ == "__main__":
    main()
