"""A distribution called `tflite` writes into our package of that name."""

import pathlib
import shutil
import subprocess
import sys

import tflite


def imported(root) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-P", "-c", "import tflite"],
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )


def test_its_files_beside_ours_are_refused(tmp_path):
    package = tmp_path / "tflite"
    package.mkdir()
    shutil.copy(pathlib.Path(tflite.__path__[0]) / "__init__.py", package)
    assert imported(tmp_path).returncode == 0
    (package / "Model.py").write_text("class Model: pass\n")
    done = imported(tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert "`pip uninstall tflite`" in last
    assert last.endswith(str(package / "Model.py"))
