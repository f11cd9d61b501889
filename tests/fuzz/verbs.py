"""What the command line's verbs say of a bundle, each in this process."""

import contextlib
import importlib
import io
import json
import os
import pathlib
import random

import cases
import hostile
import ml_collections
import numpy as np
import subjects
from absl import flags
from PIL import Image

from pipeline.cli import (
    classify_verb,
    inspect_verb,
    policy_verb,
    score_verb,
    split_verb,
    verbs,
)
from pipeline.gate import check
from pipeline.results import predictions
from pipeline.results.layout import Layout
from tests.support import prepared_data
from tflite.bundle import archive

# Each case would import these by itself: five seconds of a processor, where all
# else of a case takes a tenth of one.
for _name in (
    "apache_beam",
    "keras_dynamic.exits.fitting",
    "pipeline.beam.runners",
    "pipeline.scoring.score_images",
):
    importlib.import_module(_name)

VERBS = ("classify", "inspect", "policy", "split", "score", "check")
_IMAGES = np.random.default_rng(0).integers(
    0, 256, (20, subjects.SIDE, subjects.SIDE, 3), np.uint8
)


class Printed(Exception):
    """Something went to the terminal that drives it."""


def draw(number: int, seed: int) -> str:
    """Returns the verb of a case; the slow ones less often."""
    rng = random.Random(f"verb {seed}/{number}")
    return rng.choices(VERBS, (4, 6, 4, 4, 1, 3))[0]


def results(verb: str, files: cases.Files, directory: str) -> object:
    """Runs a verb over a bundle; returns what it says, or wrote.

    Args:
        verb: One of `VERBS`.
        files: The bundle's.
        directory: Where to write them; beside it other files are written.

    Raises:
        Exception: Whatever the verb raises.
        Printed: If it printed other characters than visible ones.
    """
    place = pathlib.Path(directory)
    if verb == "check":
        prepare_check(place.parent / "work")
        place = place.parent / "work" / "bundle"
    cases.write(files, str(place))
    if verb == "check" and cases.ARCHIVE not in files:
        shipping = {
            name: data
            for name, data in files.items()
            if isinstance(data, bytes) and name != hostile.CALIBRATION
        }
        archive.write(str(place / cases.ARCHIVE), shipping)
    path = str(place)
    if list(files) == [cases.ARCHIVE]:
        path = os.path.join(path, cases.ARCHIVE)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        found = _RUN[verb](path, place.parent)
    if not all(line.isprintable() for line in said.getvalue().splitlines()):
        raise Printed(repr(said.getvalue())[:300])
    return found(said.getvalue()) if callable(found) else found


def _flags(verb: str, *given: str) -> flags.FlagValues:
    """Returns the flags of a verb, as its command line would give them."""
    values = flags.FlagValues()
    for name, flag in verbs.VERBS[verb].flags.items():
        flag.define(name, values)
    values([verb, *given])
    return values


def _classify(path: str, beside: pathlib.Path):
    photo = str(beside / "photo.png")
    Image.fromarray(_IMAGES[0]).save(photo)
    classify_verb.run(_flags("classify", f"--bundle={path}", "--json"), [photo])
    names = ("label", "index", "exit", "probabilities")
    return lambda said: [json.loads(said)[name] for name in names]


def _inspect(path: str, beside: pathlib.Path):
    del beside
    inspect_verb.run(_flags("inspect"), [path])
    return lambda said: said


def _policy(path: str, beside: pathlib.Path):
    del beside
    policy_verb.run(_flags("policy", "--max_drop=1"), [path])
    return lambda said: said


def _split(path: str, beside: pathlib.Path):
    """Cuts the first segment, which no manifest vouches for here."""
    models = sorted(pathlib.Path(path).glob("*.tflite"))
    if models:
        split_verb.run(
            _flags("split", f"--output={beside / 'parts'}"), [str(models[0])]
        )
    return "cut"


def _score(path: str, beside: pathlib.Path):
    Image.fromarray(_IMAGES[0]).save(beside / "photo.png")
    given = _flags(
        "score",
        f"--bundle={path}",
        f"--output={beside / 'out' / 'scores'}",
        f"--input={beside / 'photo.png'}",
        "--format=csv",
        "--batch_size=4",
        "--num_shards=1",
    )
    score_verb.run(given, [], [])
    [rows] = (beside / "out").glob("scores-*.csv")
    text = rows.read_text(encoding="utf-8")
    return text.replace(str(beside), "")


def _check(path: str, beside: pathlib.Path):
    del path
    config = ml_collections.ConfigDict(
        {
            "name": "fuzz",
            "model": {"size": subjects.SIDE},
            "check": {"max_points": 100.0, "level": 0.05},
        }
    )
    check.check(config, Layout(beside))
    return "passed"


_RUN = {
    "classify": _classify,
    "inspect": _inspect,
    "policy": _policy,
    "split": _split,
    "score": _score,
    "check": _check,
}


def prepare_check(root: pathlib.Path) -> None:
    """Writes what `check` reads beside the bundle of the plain subject."""
    layout = Layout(root)
    for path in (layout.data, layout.tflite, layout.float_model.parent):
        path.mkdir(parents=True)
    labels = np.arange(len(_IMAGES), dtype=np.int32) % subjects.CLASSES
    members = {"test": (_IMAGES, labels), "calibration": (_IMAGES, labels)}
    prepared_data.write(layout.data, members, labels=subjects.CLASSES)
    facts = json.loads(layout.data_manifest.read_text())
    facts["labels"] = list(subjects.LABELS)
    layout.data_manifest.write_text(json.dumps(facts))
    layout.tflite_model.write_bytes(subjects.plain())
    said = predictions.Predictions(
        labels, np.zeros((2, len(labels), subjects.CLASSES), np.float32)
    )
    predictions.save(layout.float_predictions, test=said, calibration=said)
