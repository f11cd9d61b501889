import importlib.resources
import tomllib

import pytest

from tests.support import markdown_blocks


@pytest.mark.parametrize("package", ["keras_dynamic", "pipeline", "tflite"])
def test_a_package_says_that_it_is_typed_and_ships_it(package):
    assert (importlib.resources.files(package) / "py.typed").is_file()
    text = (markdown_blocks.ROOT / "pyproject.toml").read_text()
    shipped = tomllib.loads(text)["tool"]["setuptools"]["package-data"]
    assert "py.typed" in shipped[package]
