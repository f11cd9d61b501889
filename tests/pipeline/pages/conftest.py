"""A finished working directory, and the report about it."""

import shutil

import pytest

from pipeline.config import load
from pipeline.pages import report
from pipeline.results.layout import Layout
from tests.support import report_inputs
from tests.support.html_page import Page


@pytest.fixture(scope="package")
def config():
    return load("ranet_digits")


@pytest.fixture(scope="package")
def finished(tmp_path_factory):
    """A working directory as the stages before the report leave it."""
    return report_inputs.write(tmp_path_factory.mktemp("runs") / "digits")


@pytest.fixture
def layout(finished, tmp_path):
    """A copy to change."""
    ignore = shutil.ignore_patterns("report")
    shutil.copytree(finished.root, tmp_path / "run", ignore=ignore)
    return Layout(tmp_path / "run")


@pytest.fixture(scope="package")
def source(finished, config):
    path = report.report(config, finished)
    assert path == finished.root / "report" / "index.html"
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="package")
def page(source):
    return Page(source)
