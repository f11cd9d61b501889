"""Tells whether a model is int8 throughout, and which operators are not."""

import re
from collections.abc import Collection

from tflite.format import model_file

# Codes of schema.fbs. Biases are int32, shapes and sizes too.
_ALLOWED = {"INT8": 9, "INT32": 2, "BOOL": 6}


class NotInt8Error(ValueError):
    """Says that an operator works on floats, or is not one of TFLite's own."""


# What stands between an int8 tensor and a float one.
_BORDERS = frozenset({"DEQUANTIZE", "QUANTIZE"})


def exceptions(model: bytes, keep_float: Collection[str] = ()) -> list[str]:
    """Describes each operator that fell out of int8, in graph order.

    An operator counts if one of its tensors is neither int8 nor an int32 bias
    or shape, or if it is a custom or Flex operator, which a device may lack.

    Args:
        model: The .tflite file.
        keep_float: Names of Keras layers whose operators may work on floats.
    """
    free = re.compile("|".join(f"{re.escape(x)}(_[0-9]+)?" for x in keep_float))
    contents = model_file.read(model)
    found = []
    for graph in contents.subgraphs:
        for operator in graph.operators:
            code = contents.operatorCodes[operator.opcodeIndex]
            output = graph.tensors[operator.outputs[0]]
            name = model_file.operator_name(code)
            where = f"{name} giving {model_file.text(output.name)!r}"
            if code.customCode:
                found.append(f"{where} is a custom operator")
                continue
            indices = [*operator.inputs, *operator.outputs]
            types = {graph.tensors[i].type for i in indices if i >= 0}
            if keep_float and (
                name in _BORDERS or _named(model_file.text(output.name), free)
            ):
                continue
            if types - set(_ALLOWED.values()):
                found.append(f"{where} is not int8")
    return found


def require(model: bytes, keep_float: Collection[str] = ()) -> None:
    """Raises `NotInt8Error`, naming the operators, unless all are int8.

    Args:
        model: The .tflite file.
        keep_float: Names of Keras layers whose operators may work on floats.
    """
    found = exceptions(model, keep_float)
    if found:
        raise NotInt8Error(
            "`model` must be int8 throughout. Received: "
            f"{len(found)} operators that are not: {'; '.join(found[:10])}"
        )


def _named(tensor: str, free: re.Pattern) -> bool:
    """Tells whether the converter says that a tensor is of one of some layers.

    A tensor is called after its layers and operations, "model/layer_1/Cos"; of
    a layer that Keras traced again with a number behind the name.
    """
    return any(map(free.fullmatch, re.split("[/;]", tensor)))
