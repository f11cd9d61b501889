"""Carries out `keras-dynamic compare`: draws several experiments' curves."""

import pathlib
from collections.abc import Sequence

from pipeline.processes import printing


def run(flags, positional: Sequence[str]) -> None:
    """Writes the page, the table and the figure, and prints where they are.

    Raises:
        ValueError: There is no working directory, or one lacks what is needed.
    """
    if not positional:
        raise ValueError("keras-dynamic compare takes working directories")
    from pipeline.pages import compare

    output = compare.compare(
        [pathlib.Path(each).absolute() for each in positional],
        pathlib.Path(flags.workdir).absolute() / "comparison",
        kind=flags.kind,
        publications=flags.published,
        with_best=flags.best,
    )
    for path in sorted(output.iterdir()):
        printing.show(str(path))
