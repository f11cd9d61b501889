import html.parser
import json
from xml.etree import ElementTree

import markdown_it
import pytest

from pipeline.gate import junit, markdown, text_table
from pipeline.gate.finding import Finding
from pipeline.gate.verdict import Verdict

FINDINGS = (
    Finding("limits", "limit", "exit 0 lost 3.00 points"),
    Finding("exit_0.int8_accuracy", "passed", "", 0.91, 0.912, 0.005, 1.0),
    Finding(
        "exit_1.int8_accuracy",
        "regression",
        "it is <worse> & more\x00",
        0.99,
        0.9,
        0.005,
        1e-9,
    ),
    Finding("operators.float", "expected", "2, known | why", 0, 2),
    Finding("exit_2.agreement", "missing", "gone", reference=0.99),
)


@pytest.fixture
def verdict():
    return Verdict("digits", 0.05, 386, FINDINGS, ("layer stem: 40 %",))


def test_the_terminal_names_all_and_aligns(verdict):
    lines = text_table.text(verdict).splitlines()
    rows = lines[: len(FINDINGS) + 1]
    for row, each in zip(rows[1:], FINDINGS, strict=True):
        assert row.startswith(each.metric)
        assert row.endswith(each.status)
    ends = {row.rindex(row.split()[-1]) for row in rows[1:]}
    assert len(ends) == 1
    assert "check failed: 3 of 5 metrics on 386 test images" in lines
    assert lines[-2:] == ["where:", "- layer stem: 40 %"]


def test_junit_has_a_case_per_metric(verdict):
    suite = ElementTree.fromstring(junit.xml(verdict)).find("testsuite")
    cases = suite.findall("testcase")
    assert [each.get("name") for each in cases] == [
        each.metric for each in FINDINGS
    ]
    assert {each.get("classname") for each in cases} == {"check.digits"}
    counts = {name: suite.get(name) for name in ("tests", "failures")}
    assert counts == {"tests": "5", "failures": "3"}
    assert suite.get("skipped") == "1"
    failures = [each.find("failure") for each in cases]
    assert [f is not None for f in failures] == [True, False, True, False, True]
    assert failures[2].get("type") == "regression"
    assert failures[2].get("message") == "it is <worse> & more\ufffd"
    assert failures[2].text == "layer stem: 40 %"
    assert cases[3].find("skipped").get("message") == "2, known | why"


def test_markdown_says_the_verdict_first_and_folds_the_rest(verdict):
    text = markdown.text(verdict)
    lines = text.splitlines()
    assert lines[0] == (
        "### digits: check failed: 3 of 5 metrics on 386 test images"
    )
    short, folded = text.split("<details>")
    assert "exit\\_1.int8\\_accuracy" in short
    assert "exit\\_0.int8\\_accuracy" not in short
    assert "- layer stem: 40 %" in short
    assert "exit\\_0.int8\\_accuracy" in folded
    assert "known \\| why" in folded
    for line in lines:
        if line.startswith("|"):
            assert line.replace("\\|", "").count("|") == 7


# Each is no more than text, wherever it stands.
HOSTILE = [
    "a|b",
    "a\\|b\\",
    "`code` ``",
    "<img src=x onerror=alert(1)>",
    "<!-- hidden",
    "</details>",
    "&lt;b&gt; &copy;",
    "[text](javascript:alert(1)) ![](x.png) [ ]",
    "<https://example.org> https://example.org www.example.org",
    "WWW.example.org someone@example.org @someone",
    "**bold** _em_ ~~gone~~ $x$",
    "two\nlines\r\n\n| a | b |\n|---|---|",
    "# heading",
    "12. item",
    "1) item",
    "- item",
    "+ item",
    "---",
    "```",
    "bell \x07, escape \x1b[31m, half \ud800, next \x85, null \x00",
]


class Read(html.parser.HTMLParser):
    """The tags of a page, and the text of table cells and of items."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.texts, self.inside = set(), [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag in ("td", "li", "h3"):
            self.texts.append("")
            self.inside = True

    def handle_endtag(self, tag):
        if tag in ("td", "li", "h3"):
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.texts[-1] += data


def visible(text: str) -> str:
    """One line, with a mark for what cannot be shown."""
    shown = " ".join(text.split())
    for each in "\x07\x1b\ud800\x00":
        shown = shown.replace(each, "\ufffd")
    return shown


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_read_as_markdown(name):
    findings = (
        Finding(name, "regression", name, 1.0, 0.5),
        Finding("limits", "limit", name),
        Finding("known", "expected", name, 0, 2),
    )
    text = markdown.text(Verdict(name, 0.05, 9, findings, (name,)))
    text.encode()
    # As GitHub reads it.
    reader = markdown_it.MarkdownIt("commonmark").enable(
        ["table", "strikethrough"]
    )
    page = Read(reader.render(text))
    usual = {"h3", "table", "thead", "tbody", "tr", "th", "td"}
    usual |= {"p", "ul", "li", "strong", "details", "summary"}
    assert page.tags <= usual
    shown = visible(name)
    # The table of all metrics has a row more than that of the failures.
    cells = ["1.0000", "0.5000", "0", "-", "regression"]
    failed = [shown, *cells, "limit", "", "", "", "", shown]
    assert [" ".join(each.split()) for each in page.texts] == [
        f"{shown}: check failed: 2 of 3 metrics on 9 test images",
        *failed,
        shown,
        *failed,
        *["known", "0", "2", "0", "-", "expected"],
        shown,
    ]
    # What GitHub makes of bare text is not in CommonMark.
    for link in ("://", "www.", "@s", "@e"):
        assert link not in text.lower()


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_junit(name):
    findings = (
        Finding(name, "regression", name, 1.0, 0.5),
        Finding(name, "expected", name, 0, 2),
    )
    data = junit.xml(Verdict(name, 0.05, 9, findings, (name,)))
    suite = ElementTree.fromstring(data).find("testsuite")
    cases = suite.findall("testcase")
    assert len(cases) == 2
    shown = cases[0].get("name")
    assert shown == cases[1].find("skipped").get("message")
    assert visible(shown) == visible(name)


def test_json_holds_it_all(verdict):
    said = json.loads(json.dumps(verdict.to_dict()))
    assert said["passed"] is False
    assert said["findings"][1]["p_value"] == 1.0
    assert said["where"] == ["layer stem: 40 %"]


def test_an_open_gate_is_short():
    verdict = Verdict("digits", 0.05, 386, FINDINGS[1:2])
    assert verdict.sentence == "check passed: 1 metrics on 386 test images"
    assert "where" not in text_table.text(verdict)
    assert ElementTree.fromstring(junit.xml(verdict)).find(".//failure") is None


def test_what_is_known_to_be_off_is_counted():
    verdict = Verdict("digits", 0.05, 386, FINDINGS[3:4])
    assert verdict.sentence.endswith("1 of them known to be off")


def test_an_update_fails_nothing():
    verdict = Verdict("digits", 0.05, 386, FINDINGS[2:3], updated=True)
    suite = ElementTree.fromstring(junit.xml(verdict)).find("testsuite")
    assert suite.get("failures") == "0"
    assert suite.find(".//failure") is None
    assert verdict.sentence.startswith("reference updated; 1 of 1 metrics")
    assert verdict.to_dict()["passed"]
