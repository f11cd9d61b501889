"""Writes one page that compares experiments: offline, in a single file."""

import pathlib
from collections.abc import Sequence

from pipeline.experiments import (
    differences,
    gather,
    published,
    seeds,
    series,
)
from pipeline.figures import chart, page, plots
from pipeline.results import own_files, tables
from pipeline.storage import publishing


def compare(
    workdirs: Sequence[pathlib.Path],
    output: pathlib.Path,
    *,
    kind: str = "float",
    publications: Sequence[str] = (),
    with_best: bool = False,
) -> pathlib.Path:
    """Writes index.html, comparison.csv and comparison.svg.

    Args:
        workdirs: Working directories, at least one; the others of a
            data set are compared with its first experiment.
        output: A directory, which is replaced. It must hold nothing else.
        kind: Kind of the models: "float" or "int8".
        publications: Names of published curves to draw as well.
        with_best: Whether to draw the best of the experiments at each budget,
            too.

    Returns:
        `output`.

    Raises:
        ValueError: A directory lacks a needed file, a name is not known, or
            `output` holds other files.
    """
    publishing.check_replaceable(output, own_files.COMPARISON)
    runs = [gather.read(each, kind) for each in workdirs]
    found = gather.gather(runs)
    chosen = published.choose(publications)
    panels = series.panels(found, chosen, with_best=with_best)
    text = page.render(
        "comparison.html",
        kind=kind,
        experiments=found,
        over=seeds.over,
        processors={
            run.timed.processor
            for each in found
            if each.is_timed
            for run in each.runs
        },
        differences=differences.differences(found),
        publications=chosen,
        with_best=with_best,
        datasets=list(dict.fromkeys(each.dataset for each in found)),
        legend=series.legend(panels),
        figures=plots.curves(panels),
        titles=series.TITLES,
        plotly_js=page.plotly_js(),
    )
    with publishing.published(output, own_files.COMPARISON) as stage:
        stage.mkdir()
        (stage / "index.html").write_text(text, encoding="utf-8")
        (stage / "comparison.svg").write_text(
            chart.svg(panels), encoding="utf-8"
        )
        tables.write(
            stage / "comparison.csv",
            differences.COLUMNS,
            differences.rows(found),
        )
    return output
