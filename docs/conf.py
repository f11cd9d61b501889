"""Sphinx: the pages of this repository and its docstrings, as a site.

`make docs` runs it with the root of the repository as the source directory, so
that a relative link means the same on the site as where the Markdown is read.
"""

import importlib.metadata
import os
import pathlib
import re

from sphinx.errors import ExtensionError

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

project = "keras-dynamic"
copyright = "The keras-dynamic authors"
version = release = importlib.metadata.version("keras-dynamic")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
root_doc = "docs/index"
include_patterns = [
    "*.md",
    "benchmarks/README.md",
    "docs/*.md",
    "docs/*.ipynb",
    "docs/api/*.rst",
    "examples/ci/README.md",
    "examples/split_computing/README.md",
]
# Directories that need not be searched.
exclude_patterns = [".*", "build", "runs", "tests"]
# Autosummary looks for them from the source directory, others from here.
templates_path = [str(pathlib.Path(__file__).parent / "_templates")]

# As on GitHub: a link to a heading is its text, in lower case, with dashes.
myst_heading_anchors = 4
# A test executes the notebook; the site shows what it left there.
nb_execution_mode = "off"
nb_output_stderr = "remove"

# A name in single backticks is code.
default_role = "code"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
# Of a package that names what is public, only that.
autosummary_ignore_module_all = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# A block that names no language is what a command printed.
highlight_language = "none"

html_theme = "furo"
html_title = "keras-dynamic"
html_copy_source = False
# The site's own front page leads to ours, which is in docs/.
html_additional_pages = {"index": "front.html"}

# What a browser would fetch from another host.
_LOADS = re.compile(
    r"<(?:script|img|iframe)[^>]*\ssrc=[\"'](?:https?:)?//[^\"']*"
    r"|<link[^>]*\srel=[\"']stylesheet[\"'][^>]*(?:https?:)?//[^\"']*"
)


def setup(app):
    """Adds what is ours to the build."""
    app.connect("autodoc-process-docstring", _as_it_stands)
    app.connect("build-finished", _require_offline)


def _as_it_stands(app, what, name, documented, options, lines):
    """Makes literal blocks of what a module's docstring indents."""
    if what != "module":
        return
    for number in range(len(lines) - 1, 0, -1):
        before = [line for line in lines[:number] if line.strip()]
        begins = lines[number].startswith("    ") and not lines[number - 1]
        if begins and not before[-1].startswith(" "):
            lines[number:number] = ["::", ""]


def _require_offline(app, exception):
    """Fails if a page would load something from elsewhere."""
    for page in pathlib.Path(app.outdir).rglob("*.html"):
        if found := _LOADS.search(page.read_text()):
            raise ExtensionError(f"{page} loads {found.group()}")
