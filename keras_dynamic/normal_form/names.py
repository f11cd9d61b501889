"""Gives each layer of a model in normal form a name of its own."""

import itertools
import re

from keras_dynamic.graph import functional


def valid(name: str) -> str:
    """Returns a name without what TensorFlow refuses in one."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip("_-") or "layer"


class Names:
    """Gives names: a layer of the model itself keeps its own.

    Layers of nested models keep theirs, too, if these are free; otherwise the
    names of the models around them come first. A second copy of a layer, and
    whatever else would have a name that is taken, gets a number.

    Args:
        owners: Names that calls have a right to.
        taken: Names that no call may have: those of the inputs.
    """

    def __init__(self, owners: dict[functional.Call, str], taken: set[str]):
        self._of = dict(owners)
        self._reserved = set(self._of.values())
        self._used = set(taken)

    def of(self, call: functional.Call, part: str = "") -> str:
        """Returns the name of a part of what stands for a call.

        Args:
            call: A call of the model that is rewritten.
            part: What the part does; empty for the layer that stands for the
                call itself.
        """
        own = self._of.get(call)
        if own and not part and own not in self._used:
            return self._take(own)
        if own is None:
            own = valid(call.operation.name)
            if self._taken(own) and call.within:
                own = valid("_".join([*call.within, call.operation.name]))
            if not self._taken(own):
                self._of[call] = own
                self._reserved.add(own)
            elif not part:
                self._of[call] = own = self._free(own)
                return self._take(own)
            if not part:
                return self._take(own)
        return self._take(self._free(f"{own}_{part}" if part else own))

    def _taken(self, name: str) -> bool:
        return name in self._used or name in self._reserved

    def _free(self, name: str) -> str:
        numbered = (f"{name}_{number}" for number in itertools.count(1))
        return next(
            each
            for each in itertools.chain([name], numbered)
            if not self._taken(each)
        )

    def _take(self, name: str) -> str:
        self._used.add(name)
        return name


def owners(calls: list[functional.Call]) -> dict[functional.Call, str]:
    """Returns the calls of a model's own layers, by right of a name each."""
    found: dict[str, functional.Call] = {}
    for call in calls:
        if not call.within:
            found.setdefault(valid(call.operation.name), call)
    return {call: name for name, call in found.items()}
