"""The verdict for a pull request."""

from collections.abc import Sequence

from pipeline.gate import table
from pipeline.gate.finding import Finding
from pipeline.gate.verdict import Verdict


def text(verdict: Verdict) -> str:
    """The verdict first; then what failed, and where; the rest folded."""
    config = _escaped(verdict.config)
    sentence = _escaped(verdict.sentence)
    lines = [f"### {config}: {sentence}", ""]
    if verdict.failures:
        lines += [*_table(verdict.failures), ""]
    if verdict.where:
        lines += ["**Where**", ""]
        lines += [f"- {_escaped(each)}" for each in verdict.where]
        lines.append("")
    lines += ["<details><summary>All metrics</summary>", ""]
    lines += [*_table(verdict.findings), ""]
    known = [each for each in verdict.findings if each.status == "expected"]
    lines += [f"- {_escaped(each.text)}" for each in known]
    lines += [
        "",
        f"p: exact McNemar test on the same images, level {verdict.level:g}.",
        "</details>",
    ]
    return "\n".join(lines) + "\n"


def _table(findings: Sequence[Finding]) -> list[str]:
    lines = [
        "| metric | reference | now | allowed | p | |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for each, cells in zip(findings, table.rows(findings), strict=True):
        if each.status == "limit":
            cells = ("limit", "", "", "", "", each.text)
        lines.append(f"| {' | '.join(map(_escaped, cells))} |")
    return lines


def _escaped(text: str) -> str:
    """Keeps what a name holds from being read as a table or as HTML."""
    text = " ".join(text.split()).replace("|", "\\|")
    return text.replace("<", "&lt;").replace("_", "\\_").replace("*", "\\*")
