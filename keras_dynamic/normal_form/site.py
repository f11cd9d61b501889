"""Gives a rewriting what it needs: a call, its inputs, ways to add layers."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_dynamic.graph import functional
from keras_dynamic.normal_form import affine
from keras_dynamic.normal_form.affine import Affine
from keras_dynamic.normal_form.names import Names


@dataclasses.dataclass(frozen=True, eq=False)
class Site:
    """Stands for the place in the new graph where a call is rewritten.

    Attributes:
        call: The call in the old graph.
        args: Its positional arguments, with tensors of the new graph, or an
            `Affine` where no layer computes it yet.
        kwargs: Its keyword arguments, likewise.
        names: Gives names.
        made: Tensors of those `Affine` that were made already.
        sole: Those of its inputs that nothing else reads.
        readers: The calls that read its result, and None for an output.
    """

    call: functional.Call
    args: tuple
    kwargs: dict[str, Any]
    names: Names
    made: dict[Affine, keras.KerasTensor]
    sole: Sequence
    readers: Sequence[functional.Call | None]

    @property
    def operation(self) -> Any:
        """Returns the layer or operation that is called."""
        return self.call.operation

    @property
    def inputs(self) -> list:
        """Lists its inputs, in their order."""
        found = []
        kinds = (keras.KerasTensor, Affine)
        functional.replaced((self.args, self.kwargs), kinds, found.append)
        return found

    @property
    def x(self) -> Any:
        """Returns its first input."""
        return self.inputs[0]

    @property
    def config(self) -> dict[str, Any]:
        """Returns the layer's arguments."""
        return self.operation.get_config()

    @property
    def result_shape(self) -> tuple:
        """Returns the shape of an image's result."""
        return self.call.results[0].shape[1:]

    @property
    def gives_logits(self) -> bool:
        """Tells whether its result is an output of the model."""
        return None in self.readers

    @property
    def next(self) -> functional.Call | None:
        """Returns the one call that reads its result, if it is one."""
        return self.readers[0] if len(self.readers) == 1 else None

    def reads_alone(self, x: Any) -> bool:
        """Tells whether nothing but the call reads one of its inputs."""
        return any(x is each for each in self.sole)

    def tensor(self, x: Any) -> keras.KerasTensor:
        """Returns a tensor for a tensor or an `Affine`."""
        if not isinstance(x, Affine):
            return x
        if x not in self.made:
            self.made[x] = affine.tensor_of(x)
        return self.made[x]

    def add(
        self,
        kind: type[keras.layers.Layer],
        inputs: Any,
        *,
        part: str = "",
        **arguments: Any,
    ) -> keras.KerasTensor:
        """Calls a new layer that has no weights.

        Args:
            kind: Its class.
            inputs: A tensor or an `Affine`, or a list of them.
            part: What it does, for its name; empty for the layer that stands
                for the call itself.
            **arguments: Its arguments.
        """
        return self._made(kind, part, arguments)(self.tensors(inputs))

    def weighted(
        self,
        kind: type[keras.layers.Layer],
        inputs: Any,
        weights: Sequence,
        *,
        part: str = "",
        trainable: bool | None = None,
        **arguments: Any,
    ) -> keras.KerasTensor:
        """Calls a new layer with weights.

        Args:
            kind: Its class.
            inputs: A tensor or an `Affine`, or a list of them.
            weights: Its weights, in the order of its own.
            part: What it does, for its name.
            trainable: Whether training changes them; None for what it is in
                the layer that is rewritten.
            **arguments: Its arguments.
        """
        layer = self._made(kind, part, arguments)
        result = layer(self.tensors(inputs))
        layer.set_weights(list(weights))
        layer.trainable = (
            getattr(self.operation, "trainable", False)
            if trainable is None
            else trainable
        )
        return result

    def keep(
        self,
        inputs: Any = None,
        *,
        weights: Sequence | None = None,
        part: str = "",
        **changes: Any,
    ) -> Any:
        """Calls a copy of the layer, with other arguments where named.

        Args:
            inputs: What it is called with; None for what it was called with.
            weights: Its weights; None for those that it has.
            part: What it does, for its name.
            **changes: Arguments that are not those of the layer.
        """
        arguments = {**self.config, **changes}
        for name in ("name", "dtype", "trainable"):
            arguments.pop(name, None)
        if weights is None:
            weights = self.operation.get_weights()
        if inputs is None:
            inputs = [*self.args, *self.kwargs.values()][0]
        kind = type(self.operation)
        return self.weighted(kind, inputs, weights, part=part, **arguments)

    def affine(
        self,
        x: Any,
        scale: Any = 1.0,
        shift: Any = 0.0,
        *,
        part: str = "",
        trainable: bool = False,
        sole: bool = False,
    ) -> Any:
        """Returns `x * scale + shift`, of numbers that broadcast to an image.

        Args:
            x: A tensor or an `Affine`.
            scale: Numbers.
            shift: Numbers.
            part: What it does, for names.
            trainable: Whether training changes the numbers.
            sole: Whether the rewriting uses `x` for nothing else.
        """
        axes = len(x.shape) - 1
        scale, shift = (_padded(each, axes) for each in (scale, shift))
        given = any(x is each for each in self.inputs)
        alone = sole and (self.reads_alone(x) or not given)
        alone = alone and not self.gives_logits
        if sole and isinstance(x, Affine) and x not in self.made:
            shift = x.shift * scale + shift
            scale = x.scale * scale
            trainable = trainable or x.trainable
            alone = alone and x.alone
            x = x.base
        else:
            x = self.tensor(x)
        if np.all(scale == 1) and np.all(shift == 0):
            return x
        found = Affine(x, scale, shift, trainable, alone, self, part)
        # The layer before it changes for all readers, or for none.
        return self.tensor(found) if alone and not self.next else found

    def _made(self, kind, part, arguments):
        name = self.names.of(self.call, part)
        return kind.from_config({"name": name, "dtype": "float32", **arguments})

    def tensors(self, inputs: Any) -> Any:
        """Returns lists, tuples and dictionaries with tensors alone."""
        return functional.replaced(inputs, Affine, self.tensor)


def _padded(numbers: Any, axes: int) -> np.ndarray:
    """Returns numbers with leading axes of size 1, float64."""
    numbers = np.asarray(keras.ops.convert_to_numpy(numbers), np.float64)
    return numbers.reshape((1,) * (axes - numbers.ndim) + numbers.shape)
