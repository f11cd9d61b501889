"""The verbs of the command line, and the flags that several of them take."""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag.

    Attributes:
        value: What it is given, for the help; empty for a switch.
        text: What it is for.
        default: Its value without it. None for a string.
    """

    value: str
    text: str
    default: bool | int | None = None

    def define(self, flags, name: str) -> None:
        """Defines it among absl's flags."""
        match self.default:
            case bool():
                flags.DEFINE_bool(name, self.default, self.text)
            case int():
                flags.DEFINE_integer(
                    name, self.default, self.text, lower_bound=1
                )
            case _:
                flags.DEFINE_string(name, None, self.text)

    def spelled(self, name: str) -> str:
        """The flag as it is given."""
        return f"--{name}={self.value}" if self.value else f"--{name}"


FLAGS = {
    "config": Flag("NAME|FILE", "what to run; `keras-dynamic list` names them"),
    "workdir": Flag("DIR", "where everything is kept that is made"),
    "processes": Flag("N", "how many train together, on JAX (default: 1)", 1),
    "reference": Flag("FILE", "what the metrics must be (docs/gate.md)"),
    "update": Flag("", "rewrite the reference", False),
    "reference_model": Flag("FILE", "an int8 .tflite to compare with"),
    "bundle": Flag("DIR", "a bundle, or its bundle.zip"),
    "output": Flag("DIR", "where the result goes"),
    "json": Flag("", "print JSON", False),
}


@dataclasses.dataclass(frozen=True)
class Verb:
    """What the command line can be asked to do.

    Attributes:
        text: What it does, in a line.
        needs: Flags, of `FLAGS`, that must be given.
        takes: Flags that may be given.
        files: What its other arguments are; empty if it takes none.
        beam: Whether Beam's options may follow `--`.
    """

    text: str
    needs: Sequence[str] = ()
    takes: Sequence[str] = ()
    files: str = ""
    beam: bool = False


_STAGE = ("config", "workdir")
_GATE = ("reference", "update", "reference_model", "output")
VERBS = {
    "prepare": Verb("images to TFRecord shards, with Beam", _STAGE, beam=True),
    "train": Verb(
        "the float model; goes on where a killed run stopped",
        _STAGE,
        ("processes",),
    ),
    "evaluate": Verb("accuracy of every exit of the float model", _STAGE),
    "quantize": Verb("quantization-aware training", _STAGE),
    "convert": Verb(
        "one int8 TFLite model, its segments, the exit policy, a bundle", _STAGE
    ),
    "check": Verb(
        "fails if quantization cost too much or the chain is not exact",
        _STAGE,
        _GATE,
    ),
    "benchmark": Verb(
        "milliseconds and memory of the chain, its segments, and other models",
        _STAGE,
    ),
    "report": Verb(
        "a page with all of it; may draw other experiments beside it",
        _STAGE,
        files="[WORKDIR ...]",
    ),
    "run": Verb(
        "all of the above in order; finished stages are not run again",
        _STAGE,
        beam=True,
    ),
    "classify": Verb(
        "runs a bundle on image files", ("bundle",), ("json",), "IMAGE ..."
    ),
    "score": Verb(
        "runs a bundle on many images, with Beam",
        ("bundle", "output"),
        beam=True,
    ),
    "inspect": Verb(
        "a bundle's segments, tensors, operators, sizes and policies",
        takes=("json",),
        files="BUNDLE",
    ),
    "policy": Verb(
        "refits a bundle's policy, or adds an operating point", files="BUNDLE"
    ),
    "sweep": Verb(
        "trains many configurations, with Beam; the best at a budget",
        ("output",),
        beam=True,
    ),
    "compare": Verb(
        "curves of several working directories in one figure",
        ("workdir",),
        files="WORKDIR ...",
    ),
    "cost": Verb(
        "multiply-adds and parameters up to each exit", ("config",), ("json",)
    ),
    "split": Verb(
        "cuts any multi-output .tflite at its outputs",
        ("output",),
        files="MODEL.tflite",
    ),
    "list": Verb("models, objectives, sources and configs"),
}
STAGES = tuple(VERBS)[: tuple(VERBS).index("run")]


def usage() -> str:
    """The help of the whole command."""
    lines = ["usage: keras-dynamic VERB [--flag=value ...] [-- BEAM OPTIONS]"]
    lines += ["", "verbs:"]
    lines += [f"  {name:10} {verb.text}" for name, verb in VERBS.items()]
    lines += ["", "`keras-dynamic VERB --help` says which flags a verb takes."]
    return "\n".join(lines)


def usage_of(name: str) -> str:
    """The help of a verb, without the flags that only it has."""
    verb = VERBS[name]
    needed = [FLAGS[flag].spelled(flag) for flag in verb.needs]
    words = ["usage: keras-dynamic", name, *needed, "[--flag=value ...]"]
    words += [verb.files] if verb.files else []
    words += ["[-- BEAM OPTIONS]"] if verb.beam else []
    rows = [
        (FLAGS[flag].spelled(flag), FLAGS[flag].text)
        for flag in (*verb.needs, *verb.takes)
    ]
    if "config" in verb.needs:
        rows.insert(1, ("--config.a.b=VALUE", "overrides what it says"))
    rows += [("--verbosity=1", "on an error, print the traceback too")]
    return "\n".join(
        [
            f"keras-dynamic {name}: {verb.text}",
            "",
            " ".join(words),
            "",
            *(f"  {flag:22} {text}" for flag, text in rows),
        ]
    )
