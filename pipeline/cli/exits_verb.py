"""Carries out `keras-dynamic exits`: lists where a model could have an exit."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

from pipeline.cli import columns
from pipeline.processes import printing

_HEAD = ("layer", "multiply-adds", "share", "map", "tensors", "bytes")


def run(flags, positional: Sequence[str]) -> None:
    """Prints the places of a model where few tensors cross.

    Raises:
        ValueError: If there is not one model, or it is none with an image as
            its input.
    """
    if len(positional) != 1:
        raise ValueError(
            "`MODEL` must be one configuration or .keras file. "
            f"Received: {list(positional)}"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from keras_dynamic.models.attach_exits import places

    found = places(_model(positional[0]))
    if flags.json:
        rows = [dataclasses.asdict(place) for place in found]
        printing.show_json({"places": rows})
        return
    rows = [_HEAD]
    for place in found:
        height, width, channels = place.shape
        rows.append(
            (
                place.layer,
                f"{place.madds / 1e6:.2f} M",
                f"{100 * place.share:.1f} %",
                f"{height}x{width}x{channels}",
                str(place.tensors),
                f"{place.bytes:,}",
            )
        )
    printing.show(columns.table(rows, "<>>>>>"))


def _model(name):
    """Builds the model of a configuration, or loads one."""
    import keras

    if pathlib.Path(name).suffix == ".keras":
        from keras_dynamic.weights.loading import trained_model

        return trained_model("MODEL", name)
    from pipeline import config
    from pipeline.training import network

    loaded = config.load(name)
    # Costs of a classifier count for little: any number of classes does.
    classes = loaded.model.classes or _CLASSES
    with keras.StatelessScope(initialize_variables=False):
        return network.build(loaded, classes, weights=False)


_CLASSES = 10
