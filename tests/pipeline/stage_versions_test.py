"""Notices results of a stage that changed while its version did not.

`stage_results.json` holds what each stage made of `golden_config.py` when its
version was raised last: numbers as they are, with some room for the rounding of
another machine, and long results as a hash. Times are left out.
"""

import functools
import hashlib
import json
import pathlib

import numpy as np
import pytest

from pipeline import config
from pipeline.prepare import prepare_images
from pipeline.results import predictions
from pipeline.results.layout import Layout
from pipeline.results.versions import VERSIONS
from pipeline.stages import STAGES
from pipeline.training import trained_model
from tests.support import command_line, html_page
from tflite import bundle
from tflite.diagnosis import equivalence

_HERE = pathlib.Path(__file__).parent
_CONFIG = _HERE.parent / "support" / "golden_config.py"
_KEPT = _HERE / "stage_results.json"
_ROOM = 5e-3


def _prepared(layout: Layout):
    found = json.loads((layout.data / "manifest.json").read_text())
    shards = [
        [each["split"], each["images"], each["sha256"]]
        for each in found["shards"]
    ]
    return {
        "shards": hashlib.sha256(json.dumps(shards).encode()).hexdigest(),
        "counts": found["counts"],
        "labels": found["labels"],
        "rejected": found["rejected"],
        "duplicates": found["duplicates"],
        "statistics": sorted(found["statistics"]["train"]),
    }


def _trained(layout: Layout):
    weights = trained_model.load(layout.float_model).weights
    return {each.path: float(np.abs(each.numpy()).mean()) for each in weights}


def _evaluated(layout: Layout):
    rows = _metrics(layout)["exits"]
    names = ("madds", "madds_paper", "params")
    return {
        "exits": [[row[name] for name in names] for row in rows],
        "facts": sorted(key for row in rows[:1] for key in row),
        "said": _said(layout.float_predictions),
    }


def _quantized(layout: Layout):
    return _said(layout.qat_predictions)


def _converted(layout: Layout):
    shipped = bundle.read(str(layout.bundle))
    model = layout.tflite_model.read_bytes()
    return {
        "said": _said(layout.predictions),
        "operators": equivalence.operators(model),
        "float_operators": len(equivalence.float_operators(model)),
        "segments": [
            [
                each.file,
                *each.wiring.inputs,
                *each.wiring.outputs,
                each.madds,
                each.params,
            ]
            for each in shipped.segments
        ],
        "labels": list(shipped.labels),
        "policy": sorted(shipped.policy.to_dict()),
        "routed": sorted(_metrics(layout)["routed"][0]),
    }


def _checked(layout: Layout):
    chain = _metrics(layout)["chain"]
    return [chain["samples"], chain["mismatches"]]


def _benchmarked(layout: Layout):
    found = json.loads(layout.benchmark_json.read_text())
    return {
        "facts": sorted(found),
        "columns": list(found["rows"][0]),
        "rows": [[row["contestant"], row["segment"]] for row in found["rows"]],
        "ratios": sorted(found["ratios"][0]),
    }


def _reported(layout: Layout):
    page = html_page.Page(layout.report.read_text())
    return {
        "tables": {name: rows[:1] for name, rows in page.named.items()},
        "figures": sorted(page.figures),
        "sections": list(page.images),
    }


def _said(path: pathlib.Path):
    """Measures of each exit the cross-entropy, and the size of logits."""
    said = predictions.load(path, "test")
    sizes = np.abs(said.logits).mean(axis=(1, 2)).tolist()
    return [said.cross_entropies(), sizes]


def _metrics(layout: Layout):
    return json.loads(layout.metrics.read_text())


RESULTS = {
    "prepare": _prepared,
    "train": _trained,
    "evaluate": _evaluated,
    "quantize": _quantized,
    "convert": _converted,
    "check": _checked,
    "benchmark": _benchmarked,
    "report": _reported,
}


def close(found, kept) -> bool:
    """Tells whether two JSON values are equal, but for room in numbers."""
    if isinstance(found, float) and isinstance(kept, float):
        return abs(found - kept) <= _ROOM * abs(kept) + 1e-6
    if isinstance(found, dict) and isinstance(kept, dict):
        return found.keys() == kept.keys() and all(
            close(each, kept[name]) for name, each in found.items()
        )
    if isinstance(found, list) and isinstance(kept, list):
        return len(found) == len(kept) and all(map(close, found, kept))
    return found == kept


def advice(found: dict, kept: dict) -> str:
    """Names the first stage whose result is not the kept one, if any.

    Later ones are made from it, and say nothing of their own code.

    Args:
        found: {"version", "result"} of the stages that ran, in order.
        kept: The same of all stages.
    """
    for name, now in found.items():
        before = kept.get(name)
        if before is None or now["version"] != before["version"]:
            return f"stage {name} has a new version: keep its results"
        if not close(now["result"], before["result"]):
            return f"raise the version of stage {name}"
    return ""


def held(layout: Layout, names, directory: pathlib.Path) -> None:
    """Fails if a result changed; says how to go on."""
    found = {
        name: {
            "version": VERSIONS[name],
            "result": RESULTS[name](layout),
        }
        for name in names
    }
    kept = json.loads(_KEPT.read_text())
    if said := advice(found, kept):
        path = directory / _KEPT.name
        path.write_text(json.dumps(kept | found, indent=1) + "\n")
        pytest.fail(
            f"{said}.\nA change that gives other results of the same inputs "
            "raises the stage's number in pipeline/results/versions.py. Then "
            f"keep the results: run this whole file, and cp {path} {_KEPT}"
        )


def test_every_stage_is_held():
    assert list(RESULTS) == list(STAGES)
    assert json.loads(_KEPT.read_text()).keys() == STAGES.keys()


def test_what_prepare_makes(tmp_path):
    layout = Layout(tmp_path / "work")
    prepare_images.prepare(config.load(str(_CONFIG)), layout.data)
    held(layout, ["prepare"], tmp_path)


@pytest.mark.slow
def test_what_every_stage_makes(tmp_path):
    command_line.run(
        "run", f"--config={_CONFIG}", f"--workdir={tmp_path / 'work'}"
    )
    held(Layout(tmp_path / "work"), STAGES, tmp_path)


def one(version=1, number=1.0, **results):
    """Makes results of two stages, of which some differ."""
    usual = {"first": {"a": [1, number]}, "second": ["b", 2.0], **results}
    versions = {"first": version, "second": 1}
    return {
        name: {"version": versions[name], "result": each}
        for name, each in usual.items()
    }


said = functools.partial(advice, kept=one())


def test_the_advice():
    assert said(one()) == ""
    assert said(one(number=1.0001)) == ""
    assert said(one(number=1.01)) == "raise the version of stage first"
    assert said(one(second=["c", 2.0])) == "raise the version of stage second"
    # What follows from the first difference is no fault of the second stage.
    assert said(one(number=3.0, second=[])).endswith("stage first")
    assert "first has a new version" in said(one(version=2, number=3.0))
    assert "first has a new version" in said(one(version=2))
