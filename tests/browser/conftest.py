"""A report in headless Chromium."""

import functools
import json
import os
import shutil

import pytest

# The working directories of reports are made there.


@pytest.fixture(scope="session")
def browser():
    """Chromium, started once."""
    from playwright.sync_api import sync_playwright

    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        pytest.fail("There is no chromium; `make test-browser` installs it.")
    with sync_playwright() as playwright:
        # As root, as in a container, Chromium has no sandbox.
        chromium = playwright.chromium.launch(
            executable_path=program,
            chromium_sandbox=os.getuid() != 0,
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A working directory and its report."""
    from pipeline import config
    from pipeline.pages import report
    from tests.support import benchmark_times, report_inputs

    layout = report_inputs.write(tmp_path_factory.mktemp("runs") / "digits")
    benchmark_times.write(layout, *benchmark_times.ALL)
    report.report(config.load("ranet_digits"), layout)
    return layout


class Reader:
    """Someone who looks at the page, and uses it."""

    def __init__(self, page):
        self.page = page
        self.complaints = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("file:", "data:", "blob:"))
                else self.complaints.append(request.url)
            ),
        )

    def open(self, layout) -> None:
        """Opens a report from the disk."""
        self.page.goto(layout.report.as_uri())

    def drag(self, slider: str, place: int) -> None:
        """Moves a slider."""
        self.page.locator(f"#{slider}").fill(str(place))
        # It is drawn with the next frame.
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame("
            "() => requestAnimationFrame(done)))"
        )

    def text(self, selector: str) -> str:
        """Returns what is written somewhere."""
        return self.page.locator(selector).text_content()

    def value(self, selector: str) -> float:
        """Returns the exact value of a number that is shown rounded."""
        return float(self.page.locator(selector).get_attribute("data-value"))

    def policy(self) -> dict:
        """Returns the policy that the page states."""
        return json.loads(self.text("#policy"))

    def rows(self, table: str) -> list[list[str]]:
        """Returns the texts of a table's body."""
        return self.page.evaluate(
            "(id) => [...document.querySelectorAll(`#${id} tbody tr`)].map("
            "(row) => [...row.cells].map((cell) => cell.textContent))",
            table,
        )


@pytest.fixture(scope="session")
def open_page(browser):
    """Opens pages; they stay open, because to open one takes seconds."""

    @functools.cache
    def opened(layout, scheme="light", width=1280) -> Reader:
        page = browser.new_page(
            color_scheme=scheme, viewport={"width": width, "height": 720}
        )
        reader = Reader(page)
        reader.open(layout)
        return reader

    return opened


@pytest.fixture
def reader(open_page, finished):
    """The page, as it is at first."""
    reader = open_page(finished)
    if reader.page.locator("#reset").is_visible():
        reader.page.locator("#reset").click()
    # So that Tab begins at the top.
    reader.page.locator("h1").click()
    return reader
