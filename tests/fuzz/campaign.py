"""Mutated bundles and models: each is refused clearly or gives right results.

    python tests/fuzz/campaign.py OUTPUT.json [--cases=20000] [--seed=0]
        [--jobs=1] [--case=N] [--verbs] [--resume] [BUNDLE_OR_MODEL ...]

Without names it mutates the small bundles of `subjects.py`. Each case runs in
a process of its own, forked from one that has imported everything and made no
interpreter yet. What comes of it:

- refused: a clear error;
- correct: the results of the pristine bundle;
- different: other results, where the change made it another bundle;
- and what must not be: wrong (other results where there is nothing to change
  them), unclear (any other error), crash, hang, memory (above 1 GiB).

With `--verbs` the verbs of the command line that open a bundle are run instead
of the harness, over the mutations of `hostile.py`, too, and over bundles that
are named beside the small ones. What they print must not drive a terminal, else
it is unclear.

OUTPUT.json is written after every hundred cases, with the cases that are done
by then; `--resume` goes on from there.

`--case=N` runs one case, here and now, and shows what it does.
"""

import argparse
import collections
import gc
import json
import os
import pathlib
import pickle
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence

_ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_ROOT), str(_ROOT / "benchmarks")]

import cases  # noqa: E402
import hostile  # noqa: E402
import machine  # noqa: E402
import numpy as np  # noqa: E402
import subjects  # noqa: E402

from tflite.cutting import split  # noqa: E402
from tflite.format import model_file  # noqa: E402
from tflite.runtime import harness, whole_model  # noqa: E402

BAD = ("wrong", "unclear", "crash", "hang", "memory")

# The subject with a working directory for `check`.
_CHECKED = "plain"

# Cases between two times that the results are written.
_PART = 100
_SECONDS = 60
_MEMORY = 2**30
# The limit of addresses, of which a thread's stack takes 8 MiB that are never
# touched. What gets no memory aborts, and is a crash.
_ADDRESSES = 4 * 2**30


def results(files: cases.Files, directory: str) -> object:
    """Runs what is there on two images; returns all it says.

    Raises:
        ValueError: If it is refused.
    """
    if "model" in files:
        return _model_results(files["model"])
    cases.write(files, directory)
    if list(files) == [cases.ARCHIVE]:
        directory = os.path.join(directory, cases.ARCHIVE)
    with harness.Harness(directory) as runner:
        shape = runner.bundle.input.shape
        said = []
        for image in _images(shape):
            said += [each.tobytes() for each in runner.logits(image)]
            found = runner.classify(image)
            said += [found.index, found.label, found.exit, found.ran]
            said += [found.probabilities.tobytes()]
        return said


def _model_results(model: bytes) -> object:
    try:
        parts = [each.wiring.outputs for each in split.split(model)]
    except (split.CannotSplit, model_file.InvalidModel):
        parts = None  # It may run all the same.
    whole = whole_model.Unsplit(model)
    shape = tuple(whole._interpreter.get_input_details()[0]["shape"][1:])
    said = [
        each.tobytes()
        for image in _images(shape)
        for each in whole.logits(image)
    ]
    return said, parts


def _images(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)


def outcome(
    case: cases.Case, directory: str, expected: object, run=None
) -> tuple:
    """Runs a case in this process; returns what came of it and a detail.

    Args:
        case: The case.
        directory: Where to write its files.
        expected: What the pristine bundle gives.
        run: What is run, instead of `results`.
    """
    try:
        found = (run or results)(case.files, directory)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        detail = f"{type(error).__name__}: {str(error)[:300]}"
        if _clear(error):
            return "refused", type(error).__name__
        place = f"{pathlib.Path(where.filename).name}:{where.lineno}"
        return "unclear", f"{place} {detail}"
    if found == expected:
        return "correct", ""
    return ("different" if case.may_differ else "wrong"), ""


def _clear(error: Exception) -> bool:
    """Whether an error is one of ours, which say what was received.

    Or of the system, about a file: the command line makes it one line.
    """
    if isinstance(error, OSError) and error.filename is not None:
        return True
    ours = type(error).__module__.split(".")[0] in (
        *("tflite", "keras_dynamic", "pipeline"),
    )
    return isinstance(error, ValueError) and (ours or "Received" in str(error))


class Server:
    """Forks a process per case.

    Args:
        subjects: What is mutated.
        seed: Of the campaign.
        directory: For the bundles' files.
        verbs: The module `verbs`, if its verbs are run.
    """

    def __init__(self, subjects, seed: int, directory: str, verbs=None):
        self._subjects = subjects
        self._seed = seed
        self._directory = directory
        self._running = {}
        self._verbs = verbs
        for subject in subjects:
            cases.prepare(subject)
        gc.freeze()  # Nothing of this is looked at, so it stays shared.
        self._expected = {}
        pairs = [(subject, verb) for subject in subjects for verb in self._all]
        for subject, verb in pairs:
            if verb == "check" and subject.name != _CHECKED:
                continue
            # Not in this process: interpreters start threads.
            key = f"{subject.name} {verb}"
            self._start(
                key, lambda s=subject, v=verb, k=key: self._pristine(s, v, k)
            )
            _, found, detail, _, _ = self.next()
            if found != "pristine":
                raise RuntimeError(f"{key}: {found} {detail}")
            self._expected[subject.name, verb] = detail

    @property
    def _all(self) -> tuple[str | None, ...]:
        return self._verbs.VERBS if self._verbs else (None,)

    def _draw(self, number: int) -> tuple[cases.Case, str | None]:
        """Returns a case, and the verb that is run, if one is."""
        if self._verbs is None:
            return cases.draw(number, self._seed, self._subjects), None
        verb = self._verbs.draw(number, self._seed)
        drawn = [
            each
            for each in self._subjects
            if verb != "check" or each.name == _CHECKED
        ]
        case = cases.draw(number, self._seed, tuple(drawn), hostile.KINDS)
        return case, verb

    def _run(self, verb: str | None):
        if verb is None:
            return results
        return lambda files, where: self._verbs.results(verb, files, where)

    def start(self, number: int) -> None:
        """Begins a case."""
        self._start(number, lambda: self._case(number))

    def all(self, numbers: Sequence[int], jobs: int) -> Iterator[tuple]:
        """Yields what came of cases, as `next` does; some run at a time."""
        waiting = list(reversed(numbers))
        while waiting or self._running:
            while waiting and len(self._running) < jobs:
                self.start(waiting.pop())
            yield self.next()

    def next(self) -> tuple:
        """Waits for one to end: its key, outcome, detail, kind, rusage."""
        pid, status, usage = os.wait4(-1, 0)
        key, pipe = self._running.pop(pid)
        with open(pipe, "rb") as file:
            said = file.read()
        shutil.rmtree(self._place(key), ignore_errors=True)
        number = -os.waitstatus_to_exitcode(status)
        if number == signal.SIGALRM:
            return key, "hang", "", self._kind(key), usage
        if number > 0:
            name = signal.Signals(number).name
            return key, "crash", name, self._kind(key), usage
        if number or not said:
            return key, "crash", f"status {-number}", self._kind(key), usage
        found, detail, kind = pickle.loads(said)
        if found == "broken":
            raise RuntimeError(f"case {key}: {detail}")
        if usage.ru_maxrss > _MEMORY // 1024:
            found, detail = "memory", f"{usage.ru_maxrss // 1024} MiB"
        return key, found, detail, kind, usage

    def _kind(self, key) -> str:
        if isinstance(key, str):
            return "pristine"
        case, verb = self._draw(key)
        return f"{verb}: {case.kind}" if verb else case.kind

    def _start(self, key, work) -> None:
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reader)
            _child(work, writer)
        os.close(writer)
        self._running[pid] = key, reader

    def _place(self, key) -> str:
        return os.path.join(self._directory, str(abs(hash(key))))

    def _pristine(self, subject, verb: str | None, key: str) -> tuple:
        where = os.path.join(self._place(key), "bundle")
        os.makedirs(self._place(key))
        return "pristine", self._run(verb)(dict(subject.files), where), ""

    def _case(self, number: int) -> tuple:
        case, verb = self._draw(number)
        place = self._place(number)
        os.makedirs(place)
        subject = {each.name: each for each in self._subjects}[case.subject]
        if "model" not in subject.files:
            with open(os.path.join(place, "outside.tflite"), "wb") as file:
                file.write(subject.files[subject.segments[0]])
        found, detail = outcome(
            case,
            os.path.join(place, "fuzzed"),
            self._expected[case.subject, verb],
            self._run(verb),
        )
        return found, detail, self._kind(number)


def _child(work, writer: int) -> None:
    """Does the work, writes what it returns into the pipe, and ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)  # The runtime's own messages.
    try:
        said = work()
    except BaseException:  # Of the campaign's own code.
        said = "broken", traceback.format_exc(), ""
    with open(writer, "wb") as pipe:
        pipe.write(pickle.dumps(said))
    os._exit(0)


class Tally:
    """Counts what came of the cases, from the first of them on without gaps.

    Args:
        arguments: Of the campaign.
    """

    def __init__(self, arguments: argparse.Namespace):
        self._arguments = arguments
        self._counts = collections.defaultdict(collections.Counter)
        self._refused = collections.Counter()
        self._bad = []
        self._peak = 0
        self.done = 0

    def resume(self) -> None:
        """Takes over what the output file holds, if there is one.

        Raises:
            ValueError: If it is of other subjects, or of other cases.
        """
        path = pathlib.Path(self._arguments.output)
        if not path.exists():
            return
        found = json.loads(path.read_text())
        asked = self._asked()
        if any(found.get(name) != value for name, value in asked.items()):
            raise ValueError(
                "`output` must be of the same campaign to be resumed, "
                f"{asked}. "
                f"Received: {path}"
            )
        for kind, each in found["kinds"].items():
            self._counts[kind].update(each)
        self._refused.update(found["refused_by"])
        self._bad = found["bad"]
        self._peak = found["peak_mib"] * 1024
        self.done = found["cases"]

    def add(self, number: int, found, detail, kind, usage) -> None:
        """Counts a case."""
        self._counts[kind][found] += 1
        if found == "refused":
            self._refused[detail] += 1
        self._peak = max(self._peak, usage.ru_maxrss)
        if found in BAD:
            self._bad.append([number, kind, found, detail])
            print(*self._bad[-1], flush=True)
        self.done += 1

    def write(self) -> dict:
        """Writes the output file; returns what it holds."""
        total = sum(self._counts.values(), collections.Counter())
        found = {
            "command": " ".join(
                ["python tests/fuzz/campaign.py", *sys.argv[1:]]
            ),
            **self._asked(),
            "cases": self.done,
            "outcomes": dict(total),
            "kinds": {
                k: dict(each) for k, each in sorted(self._counts.items())
            },
            "refused_by": dict(self._refused.most_common()),
            "bad": sorted(self._bad),
            "peak_mib": self._peak // 1024,
            "machine": machine.machine(),
            "versions": machine.versions(),
        }
        path = pathlib.Path(self._arguments.output)
        beside = path.with_name(path.name + ".part")
        beside.write_text(json.dumps(found, indent=2) + "\n")
        beside.replace(path)
        return found

    def _asked(self) -> dict:
        names = ("seed", "first", "verbs", "subjects")
        return {name: getattr(self._arguments, name) for name in names}


def run(arguments: argparse.Namespace) -> dict:
    """Runs the campaign; returns what the result file holds."""
    tally = Tally(arguments)
    if arguments.resume:
        tally.resume()
    drawn, verbs = _loaded(arguments)
    start, before = time.perf_counter(), tally.done
    with tempfile.TemporaryDirectory() as directory:
        server = Server(drawn, arguments.seed, directory, verbs)
        while tally.done < arguments.cases:
            # All of a part have ended before it is written.
            first = arguments.first + tally.done
            count = min(_PART, arguments.cases - tally.done)
            for number, *said in server.all(
                range(first, first + count), arguments.jobs
            ):
                tally.add(number, *said)
            found = tally.write()
            rate = (tally.done - before) / (time.perf_counter() - start)
            bad = len(found["bad"])
            print(f"{tally.done} {rate:.1f}/s {bad} bad", flush=True)
    return tally.write()


def _loaded(arguments: argparse.Namespace) -> tuple:
    """Returns the subjects, and the module of the verbs if they are run."""
    if not arguments.verbs:
        return subjects.load(arguments.subjects), None
    import verbs

    named = subjects.load(arguments.subjects) if arguments.subjects else ()
    return subjects.for_verbs() + named, verbs


def main() -> int:
    """Parses the command line; returns 1 if a case did what it must not."""
    parser = argparse.ArgumentParser()
    parser.add_argument("output")
    parser.add_argument("subjects", nargs="*")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--case", type=int)
    parser.add_argument("--verbs", action="store_true")
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse_intermixed_args()
    if arguments.case is not None:
        drawn, verbs = _loaded(arguments)
        with tempfile.TemporaryDirectory() as directory:
            server = Server(drawn, arguments.seed, directory, verbs)
            case, verb = server._draw(arguments.case)
            print(verb, case.kind, case.subject, flush=True)
            where = os.path.join(directory, "case", "bundle")
            os.makedirs(os.path.dirname(where))
            print(server._run(verb)(case.files, where))
        return 0
    found = run(arguments)
    print(found["outcomes"])
    return int(any(found["outcomes"].get(each) for each in BAD))


if __name__ == "__main__":
    sys.exit(main())
