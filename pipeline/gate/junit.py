"""Writes the verdict as JUnit XML for CI systems: a test case per metric."""

import re
from xml.etree import ElementTree

from pipeline.gate.verdict import Verdict

# What XML 1.0 cannot hold.
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)


def xml(verdict: Verdict) -> bytes:
    """Returns one suite: failures say where, known failures are skipped."""
    suite = ElementTree.Element(
        "testsuite",
        name=_clean(f"keras-dynamic check {verdict.config}"),
        tests=str(len(verdict.findings)),
        failures=str(0 if verdict.updated else len(verdict.failures)),
        errors="0",
        skipped=str(
            sum(each.status == "expected" for each in verdict.findings)
        ),
    )
    where = "\n".join(verdict.where)
    for each in verdict.findings:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=_clean(f"check.{verdict.config}"),
            name=_clean(each.metric),
        )
        if each.status == "expected":
            ElementTree.SubElement(case, "skipped", message=_clean(each.text))
        elif each.failed and not verdict.updated:
            failure = ElementTree.SubElement(
                case, "failure", type=each.status, message=_clean(each.text)
            )
            failure.text = _clean(where)
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, "utf-8", xml_declaration=True)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
