"""Describes a setting: a field that holds all that is known of a key.

A section of the configuration is a frozen dataclass. The annotation of a field
is the type of the key; `setting` gives the default, the explanation and the
rule. A field that is itself a section is a section within; one that is a
`Mapping` is open: its keys depend on the names beside it, and the code that
takes it checks them.
"""

import collections.abc
import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.config.value_rules import Rule


@dataclasses.dataclass(frozen=True)
class Setting:
    """Describes one key.

    Attributes:
        name: The key within its section.
        type: Type of its values, as annotated: `int`, `tuple[str, ...]`, a
            section, or `Mapping[str, Any]` where it is open.
        default: Its value if nobody sets it; None for a section, open or not.
        text: A sentence on what it does.
        rule: Rule that its value must obey, or None.
        each: Section of which every element of a tuple of dicts has some keys;
            None for other types.
    """

    name: str
    type: Any
    default: Any
    text: str
    rule: Rule | None
    each: type | None

    @property
    def is_section(self) -> bool:
        """Tells whether it has keys of its own that the schema names."""
        return dataclasses.is_dataclass(self.type)

    @property
    def is_open(self) -> bool:
        """Tells whether it takes any keys."""
        return typing.get_origin(self.type) is collections.abc.Mapping


def setting(
    default: Any,
    text: str = "",
    rule: Rule | None = None,
    *,
    each: type | None = None,
) -> Any:
    """Returns a field of a section.

    Args:
        default: The value of the key if nobody sets it; a class stands for
            its instance without arguments: a section, or an empty dict.
        text: A sentence on what the key does; for a section it is the
            section's docstring.
        rule: Rule that its value must obey beyond its type.
        each: Section of which every element has some keys, where the value is
            a tuple of dicts.
    """
    if dataclasses.is_dataclass(default):
        text = " ".join(default.__doc__.split())
    known = types.MappingProxyType({"text": text, "rule": rule, "each": each})
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata=known)
    return dataclasses.field(default=default, metadata=known)


def settings(section: type) -> dict[str, Setting]:
    """Returns the settings of a section, by name, in their order."""
    hints = typing.get_type_hints(section)
    return {
        field.name: Setting(
            field.name,
            hints[field.name],
            None if field.default is dataclasses.MISSING else field.default,
            **field.metadata,
        )
        for field in dataclasses.fields(section)
    }


def problems(
    section: type, values: Mapping[str, Any], prefix: str = ""
) -> Iterator[str]:
    """Yields the faults in the values of a section, of the keys it has."""
    for name, each in settings(section).items():
        if name not in values:
            continue
        value, key = values[name], f"{prefix}{name}"
        if each.is_section:
            found = list(problems(each.type, value, f"{key}."))
            yield from found
            if found:
                continue
        elif not each.is_open and not _is_of_type(value, each.type):
            yield f"`{key}` must be {spelled(each.type)}. Received: {value!r}"
            continue
        for number, element in enumerate(value if each.each else ()):
            yield from problems(each.each, element, f"{key}[{number}].")
        if each.rule and not each.rule.holds(value):
            shown = dict(value) if each.is_section else value
            yield f"`{key}` must be {each.rule.text}. Received: {shown!r}"


def spelled(type_: Any) -> str:
    """Spells a type for a reader, such as "a tuple of int"."""
    if typing.get_origin(type_) is tuple:
        return f"a tuple of {_element(type_).__name__}"
    article = "an" if type_ is int else "a"
    return f"{article} {type_.__name__}"


def _element(type_: Any) -> type:
    """Returns the type of the elements of a tuple; mappings are dicts there."""
    element = typing.get_args(type_)[0]
    return dict if typing.get_origin(element) else element


def _is_of_type(value: Any, type_: Any) -> bool:
    if typing.get_origin(type_) is tuple:
        return isinstance(value, (tuple, list)) and all(
            _is_of_type(each, _element(type_)) for each in value
        )
    if isinstance(value, bool) or type_ is bool:
        return isinstance(value, bool) and type_ is bool
    if type_ is float:
        return isinstance(value, (int, float))
    return isinstance(value, type_)
