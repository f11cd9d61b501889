"""Makes segments that are just bytes, changes manifests, and makes policies."""

import json

from keras_dynamic.exits.decision.policy import Policy
from tflite import bundle
from tflite.cutting import split


def parts(count: int = 2) -> list[split.Segment]:
    """Returns segments of a plain chain, to a bundle no more than bytes."""
    names = [("image",), *((f"cut_{k}",) for k in range(count))]
    return [
        split.Segment(
            model=bytes([k]) * (100 + k),
            wiring=bundle.Wiring(
                names[k], (f"logits_{k}", *names[k + 1]), exit=k
            ),
            output=f"logits_{k}",
            operators=1,
        )
        for k in range(count)
    ]


def edit(directory, **changes) -> None:
    """Changes keys of a bundle's manifest."""
    path = directory / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refit(directory, **changes) -> None:
    """Changes how a photograph becomes the input."""
    facts = json.loads((directory / "manifest.json").read_text())["input"]
    edit(directory, input=facts | {"fit": facts["fit"] | changes})


def downgrade(directory, labels="labels.txt", **provenance) -> None:
    """Makes the manifest one of version 1."""
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["input"].pop("fit", None)
    manifest["provenance"].update(provenance)
    manifest.update(format_version=1, labels=labels)
    (directory / "manifest.json").write_text(json.dumps(manifest))


def plain(*thresholds) -> Policy:
    """Returns a policy with these thresholds, all exits enabled."""
    return Policy(
        temperatures=(1.0,) * len(thresholds),
        thresholds=thresholds,
        enabled=(True,) * len(thresholds),
    )
