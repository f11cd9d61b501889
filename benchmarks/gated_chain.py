"""Times chains in which gates skip layers, by the width of the network.

    python benchmarks/gated_chain.py FILE.json [--rounds=300]

ResNet-38 of several widths, int8, one thread: the network without gates; an
LC-Net on it (L-Net) in one model; and the chain of its segments, with none,
half or three quarters of the gates closed, at random places. All of one width
in one process, in random order. Weights are random: times do not depend on
them.
"""

import argparse
import pathlib
import tempfile

import keras
import machine
import numpy as np
from converted import converted

from keras_dynamic import exits
from keras_dynamic.models.lcnet import lcnet
from keras_dynamic.models.resnet import resnet
from pipeline.storage import publishing
from tflite import bundle
from tflite.cutting import counting, split
from tflite.timing import contestants, latency

_WIDTHS = ((16, 32, 64), (32, 64, 128), (64, 128, 256))
_CLOSED = (0.0, 0.5, 0.75)
_IMAGE = {"input_shape": (32, 32, 3), "classes": 10}
_SEED = 0


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=300)
    arguments = parser.parse_args()
    rng = np.random.default_rng(_SEED)
    pixels = rng.integers(0, 256, (64, 32, 32, 3), np.uint8)
    rows = []
    for widths in _WIDTHS:
        with tempfile.TemporaryDirectory() as directory:
            made = _contestants(pathlib.Path(directory), widths, pixels)
            rounds = latency.measure(
                {name: each.load() for name, (each, _) in made.items()},
                pixels,
                warmup=30,
                runs=arguments.rounds,
                seed=_SEED,
            )
        spent = {name: times.call for name, times in rounds.times.items()}
        plain = np.median(spent["plain"])
        for name, (_, share) in made.items():
            row = {
                "widths": widths,
                "network": name,
                "madds_of_dense": share,
                "milliseconds": latency.summary(spent[name]),
                "of_plain": float(np.median(spent[name]) / plain),
            }
            rows.append(row)
            print(
                f"{widths!s:16} {name:12} {np.median(spent[name]):.3f} ms  "
                f"{row['of_plain']:.2f} for {share:.2f} of the multiply-adds"
            )
    publishing.write_json(
        arguments.output,
        {
            "rows": rows,
            "rounds": arguments.rounds,
            "command": machine.command_line(),
            "machine": machine.machine(),
            "versions": machine.versions(),
        },
    )


def _contestants(directory, widths, pixels):
    """Returns each contestant with its share of the plain multiply-adds."""
    keras.utils.set_random_seed(_SEED)
    images = pixels / np.float32(255)
    plain = converted(resnet(**_IMAGE, blocks=6, widths=widths), images)
    dense = counting.count(plain).madds
    found = {"plain": (_model(directory / "plain.tflite", plain), 1.0)}
    for share in _CLOSED:
        network, closed = _gated(widths, share)
        model = converted(network, images)
        cut = split.split(model, ["exit_0"])
        path = directory / f"{share}"
        runs = _write(path, cut, closed)
        name = f"chain {share:g}"
        chain = contestants.Contestant("chain", str(path))
        found[name] = (chain, runs / dense)
        if not share:
            found["unsplit"] = (_model(directory / "gated.tflite", model), 1.0)
    return found


def _model(path, model):
    path.write_bytes(model)
    return contestants.Contestant("tflite", str(path))


def _gated(widths, share):
    """Builds an L-Net with some gates closed; returns it and their numbers."""
    backbone = {"family": "resnet", "blocks": 6, "widths": widths}
    network = lcnet(**_IMAGE, backbone=backbone)
    scores = [each for each in network.layers if each.name.endswith("_score")]
    rng = np.random.default_rng(_SEED)
    closed = rng.permutation(len(scores))[: round(share * len(scores))]
    for place, layer in enumerate(scores):
        kernel, bias, *rest = layer.get_weights()
        score = -1.0 if place in closed else 0.9
        layer.set_weights([0 * kernel, 0 * bias + score, *rest])
    return network, closed


def _write(path, cut, closed):
    """Writes the bundle; returns the multiply-adds of the segments that run."""
    facts = []
    runs = gates = 0
    skipped = False
    for place, segment in enumerate(cut):
        madds = counting.count(segment.model).madds
        if segment.wiring.bypass:
            skipped = not skipped
        else:
            skipped = segment.wiring.gate is not None and gates in closed
        gates += segment.wiring.gate is not None
        runs += 0 if skipped else madds
        facts.append(
            bundle.segment_facts(
                place, segment.model, segment.wiring, madds=madds, params=0
            )
        )
    path.mkdir()
    bundle.write(
        str(path),
        name="gated",
        segments=facts,
        models=[segment.model for segment in cut],
        labels=[str(label) for label in range(_IMAGE["classes"])],
        input=bundle.InputFacts(shape=_IMAGE["input_shape"]),
        policy=exits.last_exit([1.0]),
        provenance={},
    )
    return runs


if __name__ == "__main__":
    main()
