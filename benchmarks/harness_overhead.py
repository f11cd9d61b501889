"""Measures the time that a chain spends outside of kernels, old beside new.

    python benchmarks/harness_overhead.py OLD OUTPUT.json BUNDLE=IMAGES.npy...

OLD is a checkout of an earlier commit (`git worktree add OLD COMMIT`). The
code of it and of this checkout is loaded into processes of their own, which
stay; in turn, in random order, each classifies the same few images. Between
images the other process has filled the caches, as whatever runs on a phone
does. What counts is what a call of `classify` takes beyond its kernels: a line
through the medians of images that stop at different exits gives it per
decision (with what else a call does once) and per segment. IMAGES.npy is uint8
[N, H, W, C].
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import time

import machine
import numpy as np

_ROUNDS, _IMAGES, _WARMUP = 1500, 4, 200


def main() -> None:
    """Runs both and writes the result; with `--serve`, is one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("pairs", nargs="+")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--serve", action="store_true")
    arguments = parser.parse_args()
    if arguments.serve:
        _serve(*arguments.pairs)
        return
    here = pathlib.Path(__file__).resolve().parents[1]
    roots = {"old": arguments.old.resolve(), "new": here}
    found = {
        pathlib.Path(pair.split("=")[0]).parent.name: _compare(
            roots, *pair.split("="), arguments.rounds
        )
        for pair in arguments.pairs
    }
    commits = {name: _commit(root) for name, root in roots.items()}
    arguments.output.write_text(
        json.dumps(
            {
                "command": "python benchmarks/harness_overhead.py OLD ...",
                "commits": commits,
                "rounds": arguments.rounds,
                "bundles": found,
                "machine": machine.machine(),
                "versions": machine.versions(),
            },
            indent=2,
        )
        + "\n"
    )
    for name, each in found.items():
        print(name, json.dumps(each))


def _serve(bundle: str, images: str) -> None:
    """Answers each line with the facts of one more call, from this code."""
    from tflite.runtime.harness import Harness
    from tflite.timing.stopwatch import TimedBundle

    kept = []

    def opened(path, options):
        kept.append(TimedBundle(path, options))
        return kept[0]

    pixels = np.load(images)
    with Harness(bundle, open_bundle=opened) as harness:
        harness.warm_up()
        kernel_ms = kept[0].kernel_ms
        for line in sys.stdin:
            found = []
            for index in map(int, line.split()):
                kernel_ms[:] = [0.0] * len(kernel_ms)
                start = time.perf_counter()
                result = harness.classify(pixels[index])
                spent = 1e6 * (time.perf_counter() - start)
                ran = sum(result.ran)
                kernels = 1e3 * sum(kernel_ms)
                found.append((result.exit, result.index, ran, spent, kernels))
            print(json.dumps(found), flush=True)


def _compare(roots, bundle: str, images: str, rounds: int) -> dict:
    servers = {
        name: subprocess.Popen(
            [sys.executable, __file__, "--serve", "-", "-", bundle, images],
            env={**os.environ, "PYTHONPATH": str(root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, root in roots.items()
    }
    rng = random.Random(0)
    count = len(np.load(images))
    rows = {name: [] for name in servers}
    for number in range(_WARMUP + rounds):
        chosen = " ".join(str(rng.randrange(count)) for _ in range(_IMAGES))
        for name in rng.sample(sorted(servers), 2):
            servers[name].stdin.write(chosen + "\n")
            servers[name].stdin.flush()
            said = json.loads(servers[name].stdout.readline())
            if number >= _WARMUP:
                rows[name] += said
    for server in servers.values():
        server.stdin.close()
        server.wait()
    answers = [[row[:3] for row in each] for each in rows.values()]
    if answers[0] != answers[1]:
        raise SystemExit(f"{bundle}: old and new answer differently")
    return _facts({name: np.array(each) for name, each in rows.items()})


def _facts(rows: dict[str, np.ndarray]) -> dict:
    found = {}
    for name, table in rows.items():
        _, _, ran, spent, kernels = table.T
        outside = spent - kernels
        groups = sorted(set(ran))
        medians = [float(np.median(outside[ran == n])) for n in groups]
        facts = {
            "images": {int(n): int((ran == n).sum()) for n in groups},
            "outside_us": dict(zip(map(int, groups), medians, strict=True)),
            "mean_call_us": float(np.mean(spent)),
            "mean_kernels_us": float(np.mean(kernels)),
        }
        if len(groups) > 1:
            slope, start = np.polyfit(groups, medians, 1)
            facts |= {"per_segment_us": slope, "once_us": start}
        found[name] = facts
    found["new_over_old"] = {
        key: found["new"][key] / found["old"][key]
        for key in ("mean_call_us", "per_segment_us", "once_us")
        if key in found["new"]
    }
    return found


def _commit(root: pathlib.Path) -> str:
    found = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.strip()


if __name__ == "__main__":
    main()
