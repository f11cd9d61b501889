"""Writes names of files as texts that are valid UTF-8, and reads them back.

A file's name is bytes. Python gives bytes that are not UTF-8 as halves of
surrogate pairs, which no coder of Beam and no CSV, JSON or Parquet file takes.
"""

import os
import re
import urllib.parse

# No path on a disk that is absolute begins so.
_PREFIX = "bytes:"

_ESCAPED = re.compile("[%\udc80-\udcff]")


def written(name: str) -> str:
    """Returns a name as valid UTF-8, unchanged if it is valid already.

    Otherwise the bytes that are not UTF-8 become "%E9" and the like, as does
    "%", and "bytes:" stands in front. A name that begins with "bytes:" is
    changed, too: no two names are written alike.
    """
    if not name.startswith(_PREFIX):
        try:
            name.encode()
            return name
        except UnicodeEncodeError:
            pass
    return _PREFIX + _ESCAPED.sub(_percent, name)


def original(text: str) -> str:
    """Returns the name from which `written` made a text."""
    if not text.startswith(_PREFIX):
        return text
    return os.fsdecode(urllib.parse.unquote_to_bytes(text[len(_PREFIX) :]))


def _percent(match: re.Match) -> str:
    (byte,) = match[0].encode("utf-8", "surrogateescape")
    return f"%{byte:02X}"
