"""Writes the verdict as Markdown for a pull request."""

import re
from collections.abc import Sequence

from pipeline.gate import text_table
from pipeline.gate.finding import Finding
from pipeline.gate.verdict import Verdict

# What Markdown reads as more than a character, wherever it stands.
_SPECIAL = re.compile(r"[\\`*_\[\]<>|~&$]")
# What starts a list, a heading or a line, at the start of an item.
_LEADING = re.compile(r"^(\d*)([-+#.)])")
# What GitHub makes links of by itself.
_LINK = re.compile(r"(?i)(?<=:)//|(?<=www)\.")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def text(verdict: Verdict) -> str:
    """Writes the verdict, then failures and where, then the rest folded."""
    config = _escaped(verdict.config)
    sentence = _escaped(verdict.sentence)
    lines = [f"### {config}: {sentence}", ""]
    if verdict.failures:
        lines += [*_table(verdict.failures), ""]
    if verdict.where:
        lines += ["**Where**", ""]
        lines += [_item(each) for each in verdict.where]
        lines.append("")
    lines += ["<details><summary>All metrics</summary>", ""]
    lines += [*_table(verdict.findings), ""]
    known = [each for each in verdict.findings if each.status == "expected"]
    lines += [_item(each.text) for each in known]
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
    for each, cells in zip(findings, text_table.rows(findings), strict=True):
        if each.status == "limit":
            cells = ("limit", "", "", "", "", each.text)
        lines.append(f"| {' | '.join(map(_escaped, cells))} |")
    return lines


def _item(text: str) -> str:
    return "- " + _LEADING.sub(r"\1\\\2", _escaped(text))


def _escaped(text: str) -> str:
    """Escapes a text, so that it is not read as Markdown, HTML or a link."""
    text = _CONTROL.sub("\ufffd", " ".join(text.split()))
    text = _LINK.sub(r"\\\g<0>", _SPECIAL.sub(r"\\\g<0>", text))
    # An escape does not keep GitHub from a mention or an address.
    return text.replace("@", "@<!-- -->")
