"""Measures LiteRT's CompiledModel beside its Interpreter, on whole chains.

    python benchmarks/runtimes.py OUTPUT.json BUNDLE=IMAGES.npy...

Each image goes to the last exit in both runtimes, in random order. Interpreters
copy a tensor between two segments, as `Harness` does. Compiled models share a
buffer, which is one segment's output and the next one's input; the image and
the logits are copied by the buffers' `write` and `read`, which make an array:
a buffer has no address in Python. Segments are run natively in both, without
their Python wrappers. A process has one number of threads, and processes take
turns: idle workers of a pool may wait busily.

Beside it, for interpreters: every segment run again and again by itself, with
the processor time and the voluntary context switches of a run.

Bundles must have int8 inputs and logits, and no gates. IMAGES.npy is uint8
[N, H, W, C].
"""

import argparse
import functools
import json
import os
import pathlib
import random
import resource
import subprocess
import sys
import time

import machine
import numpy as np

_BLOCKS, _BLOCK, _THREADS = 20, 10, (1, 2)
_RUNTIMES = ("interpreter", "compiled")


def main() -> None:
    """Runs all and writes the result; with `--serve`, is one process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("pairs", nargs="+")
    parser.add_argument("--serve", type=int)
    arguments = parser.parse_args()
    if arguments.serve:
        _serve(*arguments.pairs, arguments.serve)
        return
    load = os.getloadavg()[0]
    found = {
        pathlib.Path(pair.split("=")[0]).parent.name: _compare(*pair.split("="))
        for pair in arguments.pairs
    }
    facts = {
        "command": "python benchmarks/runtimes.py OUTPUT.json ...",
        "load_before_and_after": [load, os.getloadavg()[0]],
        "bundles": found,
        "machine": machine.machine(),
        "versions": machine.versions(),
    }
    arguments.output.write_text(json.dumps(facts, indent=2) + "\n")
    for name, each in found.items():
        print(name, json.dumps(each))


def _compare(bundle: str, images: str) -> dict:
    servers = {
        threads: subprocess.Popen(
            [
                *(sys.executable, __file__, "-", bundle, images),
                f"--serve={threads}",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for threads in _THREADS
    }
    rng, said = random.Random(0), {threads: [] for threads in servers}
    for number in range(_BLOCKS + 1):
        for threads in rng.sample(_THREADS, len(_THREADS)):
            servers[threads].stdin.write(f"{number * _BLOCK}\n")
            servers[threads].stdin.flush()
            line = json.loads(servers[threads].stdout.readline())
            if number:  # The first is for warming up.
                said[threads].append(line)
    for server in servers.values():
        server.stdin.close()
        server.wait()
    return {
        f"threads={threads}": _facts(lines) for threads, lines in said.items()
    }


def _facts(lines: list[dict]) -> dict:
    found: dict = {
        "images": len(lines) * _BLOCK,
        "images_with_other_bits": sum(line["different"] for line in lines),
    }
    for name in _RUNTIMES:
        spent = np.concatenate([line[name] for line in lines])
        found[name] = _quantiles(spent.sum(axis=1)) | {
            "segments_median_us": np.median(spent, axis=0).tolist()
        }
    alone = np.concatenate([line["alone"] for line in lines])
    found["interpreter_segments_alone"] = {
        "median_us": np.median(alone, axis=0).tolist(),
        "processor_us_per_run": float(np.mean([x["cpu"] for x in lines])),
        "switches_per_run": float(np.mean([x["switches"] for x in lines])),
    }
    ratios = [
        np.median(np.sum(line["compiled"], axis=1))
        / np.median(np.sum(line["interpreter"], axis=1))
        for line in lines
    ]
    found["compiled_over_interpreter"] = _quantiles(ratios)
    return found


def _quantiles(values) -> dict:
    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
    return {"p10": float(low), "median": float(middle), "p90": float(high)}


def _serve(bundle: str, images: str, threads: int) -> None:
    """Answers each line with the times of a block of images."""
    facts, models = _models(pathlib.Path(bundle))
    pixels = np.load(images)
    runs = {
        "interpreter": _interpreters(facts, models, threads),
        "compiled": _compiled(facts, models, threads),
    }
    rng = random.Random(0)
    for line in sys.stdin:
        said: dict = {"different": 0, **{name: [] for name in runs}}
        for index in range(int(line), int(line) + _BLOCK):
            image = pixels[index % len(pixels)] ^ np.uint8(0x80)
            logits = {}
            for name in rng.sample(_RUNTIMES, len(_RUNTIMES)):
                spent, logits[name] = _timed(runs[name], image.view(np.int8))
                said[name].append(spent)
            said["different"] += logits["interpreter"] != logits["compiled"]
        said |= _alone(runs["interpreter"])
        print(json.dumps(said), flush=True)


def _models(path: pathlib.Path) -> tuple[list[dict], list[bytes]]:
    facts = json.loads((path / "manifest.json").read_text())["segments"]
    return facts, [(path / each["file"]).read_bytes() for each in facts]


def _timed(run, image: np.ndarray) -> tuple[list[float], list[bytes]]:
    """Returns microseconds per segment, and the logits of each."""
    put, steps, logits = run
    spent = []
    start = time.perf_counter()
    put(image)
    for copy, invoke, read in steps:
        copy()
        invoke()
        read()
        now = time.perf_counter()
        spent.append(1e6 * (now - start))
        start = now
    return spent, [each.tobytes() for each in logits]


def _alone(run) -> dict:
    """Runs each segment again and again, without what comes before it."""
    spent = []
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _, invoke, _ in run[1]:
        times = []
        for _ in range(_BLOCK):
            start = time.perf_counter()
            invoke()
            times.append(1e6 * (time.perf_counter() - start))
        spent.append(times)
    after = resource.getrusage(resource.RUSAGE_SELF)
    count = _BLOCK * len(spent)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "alone": list(zip(*spent, strict=True)),
        "cpu": 1e6 * used / count,
        "switches": (after.ru_nvcsw - before.ru_nvcsw) / count,
    }


def _interpreters(facts: list[dict], models: list[bytes], threads: int):
    from tflite.runtime import interpreter, loaded_segment

    memory: dict = {}
    steps, logits = [], []
    for segment, model in zip(facts, models, strict=True):
        loaded = interpreter.load(model, interpreter.Options(threads=threads))
        runner = loaded.get_signature_runner()
        inputs, copies = runner.get_input_details(), []
        for name in segment["inputs"]:
            own = loaded_segment._memory(loaded, inputs[name])
            if name in memory:
                source = loaded_segment._bytes(memory[name])
                copies.append((loaded_segment._bytes(own), source))
            else:
                memory[name] = own
        for name, details in runner.get_output_details().items():
            memory[name] = loaded_segment._memory(loaded, details)
        logits.append(memory[segment["outputs"][0]])
        # The native call does not keep the interpreter, which has the memory.
        invoke = functools.partial(_run, interpreter.runner(loaded), loaded)
        steps.append((functools.partial(_copy, copies), invoke, _nothing))
    image = memory[facts[0]["inputs"][0]][0]
    return functools.partial(np.copyto, image), steps, logits


def _compiled(facts: list[dict], models: list[bytes], threads: int):
    from tflite.runtime import interpreter

    buffers: dict = {}
    steps, logits = [], []
    for segment, model in zip(
        facts, interpreter.compiled(models, threads), strict=True
    ):
        signature = model.get_signature_by_index(0)
        key = signature["key"]
        for name in segment["inputs"]:
            if name not in buffers:
                buffers[name] = model.create_input_buffer_by_name(key, name)
        details = model.get_output_tensor_details(key)
        for name in segment["outputs"]:
            buffers[name] = model.create_output_buffer_by_name(key, name)
        invoke = functools.partial(
            model._model.RunByIndex,
            0,
            [buffers[name].capsule for name in signature["inputs"]],
            [buffers[name].capsule for name in signature["outputs"]],
        )
        first = segment["outputs"][0]
        logits.append(np.empty(details[first]["shape"], np.int8))
        read = functools.partial(_read, buffers[first], logits[-1].reshape(-1))
        steps.append((_nothing, invoke, read))
    put = functools.partial(_put, buffers[facts[0]["inputs"][0]])
    return put, steps, logits


def _run(invoke, _) -> None:
    invoke()


def _copy(copies) -> None:
    for target, source in copies:
        target[:] = source


def _nothing() -> None:
    pass


def _put(buffer, image: np.ndarray) -> None:
    buffer.write(image)


def _read(buffer, out: np.ndarray) -> None:
    out[:] = buffer.read(out.size, np.int8)


if __name__ == "__main__":
    main()
