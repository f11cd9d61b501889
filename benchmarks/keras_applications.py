"""Measures how far the networks of keras.applications get through the stages.

    PYTHONPATH=. python benchmarks/keras_applications.py FILE.csv [NETWORK ...]

It builds each network with two exits and weights drawn at random, and compares
its normal form with it. Then it makes the network int8 by `quantize.method`
"keras", or by "ptq" where that refuses it, with no step of training: its ranges
are those of some patterns. The file is cut, and the chain compared with the
unsplit model, bit for bit, on eight images. Each network has a process of its
own. Rows are written as they come; those of other networks stay as they are.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time

COLUMNS = (
    "network",
    "input",
    "whole_or_reduced",
    "furthest_stage",
    "max_error",
    "method",
    "operators",
    "float_operators",
    "segments",
    "exact",
    "correlation",
    "seconds",
    "refused",
)
_METHODS = ("keras", "ptq")


def row(network) -> dict:
    """Measures one network."""
    from tests.support import applications, normal_forms

    start = time.perf_counter()
    model = applications.build(network)
    given = applications.images(network, model)
    error, rounding, _ = normal_forms.error(model, given)
    found = {"furthest_stage": "model", "max_error": f"{error:.1e}"}
    if error < max(1e-5, 4 * rounding):
        found["furthest_stage"] = "normal form"
        found |= _int8(network, model)
    found["seconds"] = round(time.perf_counter() - start)
    return found


def _int8(network, model) -> dict:
    """Makes the network int8 and cuts it, by the first method that takes it."""
    refused = []
    for method in _METHODS:
        try:
            return {"method": method, **_chain(network, model, method)} | {
                "refused": "; ".join(refused)
            }
        except ValueError as error:
            text = " ".join(str(error).split())
            refused.append(f"{method}: {type(error).__name__}: {text[:200]}")
    return {"refused": "; ".join(refused)}


def _chain(network, model, method: str) -> dict:
    import numpy as np

    from tests.support import applications
    from tflite.cutting import split
    from tflite.format import int8_only, model_file
    from tflite.quantization import conversion, methods
    from tflite.quantization.methods.method import Task
    from tflite.runtime import interpreter

    images = applications.images(network, model, 32, seed=1)
    images = images / np.float32(max(1.0, images.max()))
    model = _of_unit_range(model)
    task = Task(
        model=model,
        exits=len(model.outputs),
        images=[images[:16], images[16:]],
    )
    with tempfile.TemporaryDirectory() as directory:
        methods.get(method)(task).save(os.path.join(directory, "saved"))
        int8 = conversion.converted(os.path.join(directory, "saved"))
    outside = len(int8_only.exceptions(int8))
    graphs = model_file.read(int8).subgraphs
    operators = sum(len(graph.operators) for graph in graphs)
    found = {
        "furthest_stage": "int8" if not outside else "partly int8",
        "operators": operators,
        "float_operators": outside,
    }
    segments = split.split(int8)
    found |= {"furthest_stage": "chain", "segments": len(segments)}
    runner = interpreter.load(int8).get_signature_runner()
    scales = {
        name: details["quantization"]
        for name, details in runner.get_output_details().items()
    }
    pieces = [
        (each, interpreter.load(each.model).get_signature_runner())
        for each in segments
    ]
    exact, said = True, {name: [] for name in scales}
    for image in (images[:8] * 255).astype(np.int16):
        tensors = {"image": (image - 128).astype(np.int8)[None]}
        whole = runner(image=tensors["image"])
        for segment, run in pieces:
            tensors |= run(
                **{name: tensors[name] for name in segment.wiring.inputs}
            )
        for name, (scale, zero) in scales.items():
            exact &= np.array_equal(tensors[name], whole[name])
            said[name].append(scale * (whole[name][0].astype(float) - zero))
    pixels = np.floor(images[:8] * 255) / np.float32(255)
    expected = model.predict_on_batch(pixels)
    found["exact"] = bool(exact)
    found["correlation"] = min(
        round(float(np.corrcoef(np.ravel(said[name]), np.ravel(each))[0, 1]), 3)
        for name, each in zip(sorted(said), expected, strict=True)
    )
    return found


def _of_unit_range(model):
    """Returns the model for images in [0, 1], as the pipeline gives them."""
    import keras

    if not any(
        isinstance(each, keras.layers.Rescaling) for each in model.layers
    ):
        return model
    image = keras.Input(model.input_shape[1:], name="image")
    return keras.Model(
        image, model(keras.layers.Rescaling(255.0, name="bytes")(image))
    )


def main(path, *names):
    """Measures the networks of these names, or all."""
    from tests.support import applications

    rows = {}
    if os.path.exists(path):
        with open(path, newline="") as file:
            rows = {each["network"]: each for each in csv.DictReader(file)}
    for network in applications.NETWORKS:
        if names and network.name not in names:
            continue
        rows[network.name] = {
            "network": network.name,
            "input": f"{network.size}x{network.size}x3",
            "whole_or_reduced": network.stands_in or "whole",
        }
        if not network.stands_in:
            rows[network.name] |= _apart(network.name)
            print(rows[network.name], flush=True)
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(
                file, COLUMNS, lineterminator="\n", extrasaction="ignore"
            )
            writer.writeheader()
            for each in applications.NETWORKS:
                if each.name not in rows:
                    continue
                done = rows[each.name]
                if each.stands_in in rows:
                    measured = rows[each.stands_in]
                    done = {**measured, **{k: v for k, v in done.items() if v}}
                writer.writerow(done)


def _apart(name: str) -> dict:
    done = subprocess.run(
        [sys.executable, __file__, "--row", name],
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        return {"furthest_stage": "none", "refused": f"exit {done.returncode}"}
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    if sys.argv[1] == "--row":
        from tests.support import applications

        [one] = [e for e in applications.NETWORKS if e.name == sys.argv[2]]
        print(json.dumps(row(one)))
    else:
        main(*sys.argv[1:])
