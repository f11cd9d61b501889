"""Writes the verdict as a table for a terminal."""

from pipeline.gate.comparison import number
from pipeline.gate.finding import Finding
from pipeline.gate.verdict import Verdict

_TITLES = ("metric", "reference", "now", "allowed", "p", "")


def rows(findings: list[Finding]) -> list[tuple[str, ...]]:
    """Returns the cells of each finding, in the order of the titles."""
    return [
        (
            each.metric,
            number(each.reference),
            number(each.measured),
            f"{each.allowed:.4g}" if each.measured is not None else "-",
            "-" if each.p_value is None else f"{each.p_value:.2g}",
            each.status,
        )
        for each in findings
    ]


def text(verdict: Verdict) -> str:
    """Writes each metric in a line, and the failures and where below."""
    cells = [_TITLES, *rows(list(verdict.findings))]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for name, *numbers, status in cells:
        aligned = [
            each.rjust(width)
            for each, width in zip(numbers, widths[1:-1], strict=True)
        ]
        line = "  ".join([name.ljust(widths[0]), *aligned, status])
        lines.append(line.rstrip())
    lines += ["", verdict.sentence]
    lines += [
        f"- {each.text}"
        for each in verdict.failures
        if not (verdict.updated and each.status == "new")
    ]
    if verdict.where:
        lines += ["", "where:", *(f"- {each}" for each in verdict.where)]
    return "\n".join(lines)
