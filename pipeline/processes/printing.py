"""Prints text so that the terminal obeys nothing in it.

Names in a bundle or a file are somebody else's: an escape sequence in a label
could clear the screen, set its title, or show another answer. All that the
command line prints goes through here. It imports the standard library only.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any


def visible(text: str) -> str:
    r"""Returns a text in which nothing is left that a terminal would obey.

    Control characters, invisible ones, ends of lines, and halves of characters
    are written as in a Python string, such as \x1b or \n.
    """
    if text.isprintable():
        return text
    return "".join(
        each
        if each.isprintable()
        else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


def visible_values(value: Any) -> Any:
    """Returns a JSON value with all of its strings, and keys, made `visible`.

    It is for code that lays the value out in lines and columns: an end of a
    line in a name must not begin a line.
    """
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {
            visible(key): visible_values(each) for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [visible_values(each) for each in value]
    return value


def lines(text: str) -> str:
    """Returns a text with each of its lines made `visible`."""
    return "\n".join(map(visible, text.split("\n")))


def show(text: str, file: Any = None) -> None:
    """Prints a text, with each of its lines made `visible`.

    Args:
        text: The lines.
        file: File to print to; by default the standard output.
    """
    print(lines(text), file=file or sys.stdout)


def show_json(value: Any) -> None:
    """Prints a value as JSON, in one line and in visible ASCII."""
    # JSON escapes all control characters but this one.
    print(json.dumps(value).replace("\x7f", "\\u007f"))
