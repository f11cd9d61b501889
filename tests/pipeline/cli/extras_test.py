import re
import subprocess
import sys
import tomllib

import pytest

from pipeline.cli import extras, verbs
from tests.support import markdown_blocks

_PROJECT = tomllib.loads((markdown_blocks.ROOT / "pyproject.toml").read_text())
_KNOWN = {*_PROJECT["project"]["optional-dependencies"], "support"}


def _named(hint: str) -> set[str]:
    [found] = re.findall(r"'keras-dynamic(?:\[(.*)\])?'", hint)
    return set(filter(None, found.split(",")))


@pytest.mark.parametrize("verb", verbs.VERBS)
def test_extras_of_a_verb_exist_and_resolve(verb):
    assert set(verbs.VERBS[verb].extras) <= _KNOWN - {"all"}
    assert _named(extras.hint(verb, "absent")) == set(verbs.VERBS[verb].extras)


def test_what_one_option_needs_is_added():
    assert _named(extras.hint("train", "jax.numpy")) == {"train", "jax"}
    assert _named(extras.hint("convert", "tflite_support")) == {
        "train",
        "support",
    }


@pytest.mark.parametrize(
    ("absent", "arguments", "named"),
    [
        ("apache_beam", ["sweep", "--config=x", "--output=y"], "beam,train"),
        ("keras", ["cost", "--config=ranet_digits"], "train"),
        ("PIL", ["classify", "--bundle={bundle}", "x.png"], "images"),
    ],
)
def test_an_error_names_what_to_install(tmp_path, absent, arguments, named):
    from tests.support import tiny_bundle

    tiny_bundle.write(tmp_path / "bundle")
    program = (
        f"import sys; sys.modules[{absent!r}] = None\n"
        "from pipeline.cli import main; main.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program]
        + [each.format(bundle=tmp_path / "bundle") for each in arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"pip install 'keras-dynamic[{named}]'" in done.stderr
    assert "Traceback" not in done.stderr
