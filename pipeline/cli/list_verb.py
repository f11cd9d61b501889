"""`keras-dynamic list`: what can be named in a configuration."""

import os
from collections.abc import Sequence

from pipeline.processes import printing


def run(flags, positional: Sequence[str]) -> None:
    """Prints the names of models, objectives, sources and configs."""
    del flags, positional
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from keras_dynamic import models, objectives
    from pipeline import config, sources

    for title, names in (
        ("models", models.BUILDERS),
        ("objectives", objectives.BUILDERS),
        ("sources", sources.names()),
        ("configs", config.names()),
    ):
        printing.show(f"{title}:")
        for name in sorted(names):
            printing.show(f"  {name}")
