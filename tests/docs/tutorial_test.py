"""The tutorial's notebook runs from its first cell to its last."""

import re

import nbclient
import nbformat
import pytest

from tests.support import markdown_blocks

_PATH = markdown_blocks.ROOT / "docs" / "tutorial.ipynb"


def _printed(notebook):
    return "".join(
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    )


@pytest.mark.slow
def test_it_runs(tmp_path, monkeypatch):
    # Where it makes its directory.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(_PATH, as_version=4)
    nbclient.NotebookClient(notebook, timeout=None).execute()
    accuracies = re.findall(r"accuracy (\d+\.\d)%", _printed(notebook))
    assert len(accuracies) == 3
    assert min(map(float, accuracies)) > 80


def test_what_it_shows_is_small_and_no_error():
    notebook = nbformat.read(_PATH, as_version=4)
    assert _PATH.stat().st_size < 200_000
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.execution_count, cell.source
    assert "/tmp" not in _printed(notebook)
