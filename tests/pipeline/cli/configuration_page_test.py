import pathlib

from pipeline import config
from pipeline.cli import configuration_page
from pipeline.config.schema import Config
from pipeline.config.setting import settings

PAGE = pathlib.Path(__file__).parents[3] / "docs" / "configuration.md"


def keys(section, prefix=""):
    for name, each in settings(section).items():
        if each.is_section:
            yield from keys(each.type, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", each


def test_the_page_is_that_of_the_schema():
    assert PAGE.read_text(encoding="utf-8") == configuration_page.page()


def test_every_key_is_explained_by_a_sentence():
    for name, each in keys(Config):
        assert each.text.endswith("."), name
        assert "|" not in each.text, name
        assert "\n" not in each.text, name


def test_a_default_is_what_a_configuration_has():
    default = config.default()
    for name, each in keys(Config):
        value = default
        for key in name.split("."):
            value = value[key]
        assert each.is_open or value == each.default
