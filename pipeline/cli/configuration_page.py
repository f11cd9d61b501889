"""Makes docs/configuration.md from the schema.

python -m pipeline.cli.configuration_page > docs/configuration.md
"""

import re
import typing
from collections.abc import Iterator
from typing import Any

from pipeline.config.schema import Config
from pipeline.config.setting import Setting, settings, spelled
from pipeline.processes import printing

_HEAD = """\
# Configuration

A configuration says where the images are, what the network is, and what each
stage does. `keras-dynamic list` shows the built-in ones; `--config=NAME` takes
one, `--config.train.epochs=20` sets a key of it. In a file, for
`--config=FILE.py`, `get_config()` returns one:

```python
import pipeline.config


def get_config():
    config = pipeline.config.load("ranet_cifar10_model1")
    with config.unlocked():
        config.name = "photos"
        config.data.source_options.path = "photos"
        config.data.fractions.test = 0.1
        config.model.classes = 0  # As many as there are directories.
        config.train.epochs = 20
        config.quantize.steps = 100
    return config
```

All of it is checked before a stage starts. An open section takes any keys: what
they may be depends on the source, family, objective or augmentation that is
named beside it. From the command line
`--config.data.source_options.path=photos` adds one; its value is read as a
Python literal where it is one, and is else a string. In a file, adding one
needs `with config.unlocked():`.

This page is made from the schema, `pipeline/config/sections/`, by
`python -m pipeline.cli.configuration_page > docs/configuration.md`.
"""
_TABLE = ("| Key | Type | Default | What it does |", "|---|---|---|---|")


def page() -> str:
    """Returns the page, in Markdown."""
    return "\n".join([_HEAD, *_section(Config, "", "Top level", "")])


def _section(kind: type, prefix: str, title: str, text: str) -> Iterator[str]:
    """Yields the lines of a section, and of the sections within it."""
    every = settings(kind).values()
    yield from (f"## {title}", "")
    if text:
        yield from (text, "")
    yield from _TABLE
    yield from (_row(each) for each in every if not each.is_section)
    yield ""
    for each in every:
        if each.is_section:
            name = f"{prefix}{each.name}"
            text = each.text
            if each.rule:
                text = f"{text} They must be {each.rule.text}."
            yield from _section(each.type, f"{name}.", f"`{name}`", text)


def _row(each: Setting) -> str:
    kind = "open section" if each.is_open else _type(each.type)
    if each.rule:
        kind = f"{kind}; {each.rule.text}"
    default = "" if each.is_open else f"`{_literal(each.default)}`"
    text = each.text
    if each.each:
        keys = ", ".join(f"`{name}`" for name in settings(each.each))
        text = f"{text} Their keys: {keys}."
    cells = (f"`{each.name}`", kind, default, text)
    return f"| {' | '.join(cells)} |"


def _type(kind: Any) -> str:
    if typing.get_origin(kind) is tuple:
        return spelled(kind).removeprefix("a ")
    return kind.__name__


def _literal(value: Any) -> str:
    """Writes a value as Python code, with double quotes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:_}" if value >= 10_000 else str(value)
    return re.sub("'", '"', repr(value))


if __name__ == "__main__":
    printing.show(page().rstrip("\n"))
