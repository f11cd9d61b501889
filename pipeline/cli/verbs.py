"""Lists the verbs of the command line in one table.

The help, docs/commands.md, the parser, the suggestions for misspelled words and
the hints at missing extras are made from the table. This module imports the
standard library only, so that help is there at once.
"""

from pipeline.cli.flag import Flag
from pipeline.cli.verb import Verb

_STAGE = ("config", "workdir")


def _example(verb: str, *more: str) -> str:
    """Returns the command line that runs a stage for the demo."""
    words = [
        verb,
        "--config=vgg_cluttered_digits",
        "--workdir=runs/demo",
        *more,
    ]
    return " ".join(["keras-dynamic", *words])


VERBS = {
    "prepare": Verb(
        "Turns images into TFRecord shards, with Beam.",
        _STAGE,
        beam=True,
        extras=("beam",),
        examples=(
            _example("prepare"),
            _example("prepare", "\\\n    -- --direct_num_workers=4"),
        ),
    ),
    "train": Verb(
        "Trains the float model; goes on where a killed run stopped.",
        _STAGE,
        own={
            "processes": Flag(
                "how many train together, on JAX", "N", "integer", 1, least=1
            ),
        },
        extras=("train",),
        examples=(_example("train", "\\\n    --config.train.epochs=10"),),
    ),
    "evaluate": Verb(
        "Measures the accuracy of every exit of the float model.",
        _STAGE,
        extras=("train",),
        examples=(_example("evaluate"),),
    ),
    "quantize": Verb(
        "Fine-tunes the model with fake quantization.",
        _STAGE,
        extras=("train",),
        examples=(_example("quantize"),),
    ),
    "convert": Verb(
        "Makes an int8 TFLite model, its segments, the exit policy, a bundle.",
        _STAGE,
        extras=("train",),
        examples=(_example("convert"),),
    ),
    "check": Verb(
        "Fails if quantization cost too much or the chain is not exact.",
        _STAGE,
        ("output",),
        own={
            "reference": Flag(
                "what the metrics must be (docs/gate.md)", "FILE"
            ),
            "update": Flag("rewrite the reference", kind="bool", default=False),
            "reference_model": Flag(
                "an int8 .tflite to compare with, layer by layer", "FILE"
            ),
        },
        extras=("train",),
        examples=(
            _example("check"),
            _example("check", "\\\n    --reference=gate/reference.json"),
        ),
        codes={
            0: "it holds",
            1: "it does not hold, or an error",
            3: "a number is not that of the reference",
        },
    ),
    "benchmark": Verb(
        "Times the chain, its segments and other models, side by side.",
        _STAGE,
        extras=("train", "onnx"),
        examples=(_example("benchmark"),),
    ),
    "report": Verb(
        "Writes a page with all of it, and other experiments beside it.",
        _STAGE,
        files="[WORKDIR ...]",
        extras=("train", "report"),
        examples=(_example("report"), _example("report", "\\\n    runs/other")),
    ),
    "run": Verb(
        "Does all of the above in order, but what is finished already.",
        _STAGE,
        beam=True,
        extras=("beam", "train", "onnx", "report"),
        examples=(
            _example("run"),
            "keras-dynamic run --config=photos.py --workdir=runs/photos",
        ),
    ),
    "classify": Verb(
        "Runs a bundle on image files.",
        ("bundle",),
        ("json",),
        {
            "threads": Flag(
                "CPU threads that an operator may use",
                "N",
                "integer",
                1,
                least=1,
            ),
            "xnnpack": Flag(
                "let XNNPACK run what it can", kind="bool", default=True
            ),
            "delegate": Flag(
                "shared library with an external delegate", "FILE"
            ),
            "delegate_option": Flag(
                "what the delegate is told; repeatable",
                "NAME=VALUE",
                "multi_string",
                [],
            ),
            "memory_mapped": Flag(
                "map the models instead of reading them",
                kind="bool",
                default=False,
            ),
            "strict": Flag(
                "refuse operators that there is no rule to check by",
                kind="bool",
                default=True,
            ),
            "point": Flag(
                "operating point", "NAME", without="the bundle's policy"
            ),
            "budget_ms": Flag(
                "milliseconds for an image, after which it goes no further",
                "MS",
                "float",
            ),
        },
        "IMAGE ...",
        extras=("images",),
        examples=(
            "keras-dynamic classify --bundle=runs/photos/bundle photo.jpg",
            "keras-dynamic classify --bundle=bundle.zip --point=fast a.png "
            "b.png",
        ),
    ),
    "score": Verb(
        "Runs a bundle on many images, with Beam.",
        ("bundle", "input", "output"),
        own={
            "input": Flag(
                "directory, or pattern of image files or TFRecords; keys are "
                "relative to it; repeatable",
                "PATTERN",
                "multi_string",
                [],
            ),
            "output": Flag(
                "beginning of the names of all files that are written, such "
                "as scores/new for scores/new-summary.json",
                "PREFIX",
            ),
            "format": Flag(
                "what the rows are written as: tfrecord, csv or parquet",
                "FORMAT",
                "enum",
                "tfrecord",
                choices=("tfrecord", "csv", "parquet"),
            ),
            "batch_size": Flag(
                "images that a segment takes at once",
                "N",
                "integer",
                64,
                least=1,
            ),
            "num_shards": Flag(
                "number of files with rows",
                "N",
                "integer",
                0,
                least=0,
                without="0, which leaves it to the runner",
            ),
            "escape_formulas": Flag(
                "put a ' before a text in CSV that begins with = + - or @",
                kind="bool",
                default=False,
            ),
            "folder_labels": Flag(
                "take the name of a directory that is a class's as the label "
                "of the images in it",
                kind="bool",
                default=True,
            ),
            "probability_columns": Flag(
                "give every class a column of its own in CSV",
                kind="bool",
                default=False,
            ),
        },
        beam=True,
        extras=("beam",),
        examples=(
            "keras-dynamic score --bundle=runs/photos/bundle \\\n"
            "    --input=new --output=scores/new --format=parquet",
        ),
    ),
    "inspect": Verb(
        "Shows a bundle's segments, tensors, operators, sizes and policies.",
        takes=("json",),
        files="BUNDLE",
        examples=("keras-dynamic inspect runs/demo/bundle",),
    ),
    "policy": Verb(
        "Refits a bundle's policy, or adds or removes an operating point.",
        own={
            "max_drop": Flag(
                "percentage points of accuracy that may be lost against the "
                "last exit; the cheapest shares of the exits are sought",
                "POINTS",
                "float",
            ),
            "budget_ms": Flag(
                "highest mean time of an image, in milliseconds; the most "
                "accurate policy is sought",
                "MS",
                "float",
            ),
            "budget_madds": Flag(
                "highest mean number of multiply-adds of an image, such as "
                "2.5e6; the most accurate policy is sought",
                "MADDS",
                "float",
            ),
            "exit_ms": Flag(
                "milliseconds up to each exit, measured on the phone",
                "A,B,C",
                "list",
                without="for --budget_ms measured here; else multiply-adds are "
                "the cost",
            ),
            "costs": Flag(
                "milliseconds of each segment, as `benchmark` writes them to "
                "benchmark/costs.json or a phone's; instead of --exit_ms",
                "FILE",
            ),
            "name": Flag(
                "operating point to add or replace",
                "NAME",
                without="the bundle's default policy is replaced",
            ),
            "remove": Flag(
                "operating point to take out; nothing is fitted", "NAME"
            ),
        },
        files="BUNDLE",
        examples=(
            "keras-dynamic policy runs/demo/bundle --max_drop=1 --name=fast",
            "keras-dynamic policy runs/demo/bundle --remove=fast",
        ),
    ),
    "sweep": Verb(
        "Trains many configurations, with Beam; tells the best at a budget.",
        ("config", "output"),
        own={
            "config": Flag(
                "configurations, by name or file", "NAME|FILE,...", "list"
            ),
            "seeds": Flag(
                "seeds of training",
                "N,N,...",
                "list",
                [],
                without="those configured",
            ),
            "objectives": Flag(
                "values of train.objective",
                "NAME,...",
                "list",
                [],
                without="the one configured",
            ),
            "set": Flag(
                "KEY=VALUE[,VALUE...][;KEY=...] to try, such as "
                "train.epochs=10,20; repeatable",
                "KEY=VALUES",
                "multi_string",
                [],
            ),
            "stages": Flag(
                "what a job runs",
                "VERB,...",
                "list",
                ["prepare", "train", "evaluate"],
            ),
            "timeout": Flag(
                "seconds that a job may take, all attempts together",
                "SECONDS",
                "float",
                without="any number",
            ),
            "attempts": Flag("how often a job is tried", "N", "integer", 2),
            "keep": Flag(
                "keep the working directories of jobs",
                kind="bool",
                default=True,
            ),
            "budget": Flag(
                "multiply-adds at which jobs are compared",
                "MADDS,...",
                "list",
                [],
                without="any number",
            ),
            "accelerator": Flag(
                "what a worker needs for training, for runners that choose "
                "machines: type:nvidia-tesla-t4;count:1;install-nvidia-driver",
                "HINT",
                default="",
            ),
        },
        beam=True,
        extras=("beam", "train"),
        examples=(
            "keras-dynamic sweep --config=ranet_digits --output=runs/sweep \\\n"
            "    --seeds=0,1 --set=train.learning_rate=0.05,0.1",
        ),
    ),
    "compare": Verb(
        "Draws the curves of several working directories in one figure.",
        ("workdir",),
        own={
            "published": Flag(
                "curves from papers to draw as well, such as ranet_cifar10",
                "NAME,...",
                "list",
                [],
            ),
            "kind": Flag(
                "which model of each experiment: float or int8",
                "KIND",
                "enum",
                "float",
                choices=("float", "int8"),
            ),
            "best": Flag(
                "draw the best of the experiments at each budget, too",
                kind="bool",
                default=False,
            ),
        },
        files="WORKDIR ...",
        extras=("report",),
        examples=("keras-dynamic compare --workdir=runs runs/a runs/b",),
    ),
    "cost": Verb(
        "Counts multiply-adds and parameters up to each exit.",
        ("config",),
        ("json",),
        extras=("train",),
        examples=(
            "keras-dynamic cost --config=ranet_digits",
            "keras-dynamic cost --config=ranet_cifar10_model1 "
            "--config.model.size=64",
        ),
    ),
    "exits": Verb(
        "Lists where a model could have an exit, and what crosses there.",
        takes=("json",),
        files="MODEL",
        extras=("train",),
        examples=(
            "keras-dynamic exits photos",
            "keras-dynamic exits model.keras",
        ),
    ),
    "split": Verb(
        "Cuts any .tflite model at its outputs and gates.",
        ("output",),
        ("json",),
        {
            "exits_only": Flag(
                "cut at the outputs, but leave gates in one segment",
                kind="bool",
                default=False,
            ),
        },
        "MODEL.tflite",
        examples=("keras-dynamic split model.tflite --output=segments",),
    ),
    "list": Verb(
        "Names models, objectives, sources, policy rules and configurations.",
        takes=("json",),
        examples=("keras-dynamic list", "keras-dynamic list --json"),
    ),
}
STAGES = tuple(VERBS)[: tuple(VERBS).index("run")]
