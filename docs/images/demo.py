"""Makes the picture and the text of README.md from one run of the demo.

    make demo
    .venv/bin/python docs/images/demo.py runs/demo

The text is what the run ends with; the picture is the top of its report, in
headless Chromium (tests/browser/install.sh). The picture holds the text, too,
so that a test can tell whether both are of the same run.
"""

import io
import os
import pathlib
import re
import shutil
import sys

from PIL import Image, PngImagePlugin
from playwright import sync_api

from pipeline.results import metrics_file, side_by_side, summary
from pipeline.results.layout import Layout

_ROOT = pathlib.Path(__file__).parents[2]
_PICTURE = pathlib.Path(__file__).with_name("report.png")
_WIDTH = 1200


def main(directory: str) -> None:
    """Reads the finished working directory, and writes both."""
    layout = Layout(pathlib.Path(directory).absolute())
    said = summary.text(
        metrics_file.read(layout.metrics), side_by_side.read_benchmark(layout)
    )
    readme = _ROOT / "README.md"
    text, found = re.subn(
        r"(?s)(It ends with:\n\n```\n).*?(\nreport  .*?\n```)",
        lambda match: f"{match[1]}{said}{match[2]}",
        readme.read_text(encoding="utf-8"),
    )
    if found != 1:
        raise SystemExit("README.md has no table that the demo ends with.")
    facts = PngImagePlugin.PngInfo()
    facts.add_text("summary", said)
    with Image.open(io.BytesIO(_screenshot(layout.report))) as picture:
        # Few colours: a third of the bytes.
        picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(
            _PICTURE, optimize=True, pnginfo=facts
        )
    readme.write_text(text, encoding="utf-8")


def _screenshot(report: pathlib.Path) -> bytes:
    """Returns the page from its title to its first figures, as PNG."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program, chromium_sandbox=os.getuid() != 0
        )
        page = chromium.new_page(viewport={"width": _WIDTH, "height": 900})
        page.goto(report.as_uri())
        figures = page.locator("#trade-off .plots").bounding_box()
        height = figures["y"] + figures["height"] + 16
        page.set_viewport_size({"width": _WIDTH, "height": int(height)})
        page.wait_for_timeout(500)
        picture = page.screenshot()
        chromium.close()
    return picture


if __name__ == "__main__":
    main(sys.argv[1])
