"""Carries out `keras-dynamic cost`: prints what it takes to reach each exit."""

import dataclasses
import os
from collections.abc import Sequence

from pipeline.processes import printing


def run(flags, positional: Sequence[str]) -> None:
    """Prints multiply-adds by both rules, parameters and feature shapes."""
    del positional
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from keras_dynamic.graph import cost
    from pipeline.training import network

    rows = cost.exit_costs(network.build(flags.config, labels=0, weights=False))
    if flags.json:
        table = [dataclasses.asdict(row) for row in rows]
        printing.show_json({"exits": table})
        return
    printing.show(
        "exit  multiply-adds  with the papers' rule   parameters  "
        "feature (h, w, c)"
    )
    for row in rows:
        printing.show(
            f"{row.exit:4}  {row.madds / 1e6:11.2f} M  "
            f"{row.madds_paper / 1e6:19.2f} M  {row.params / 1e6:9.3f} M  "
            f"{row.feature_shape}"
        )
