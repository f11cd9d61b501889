"""Makes float operators int8 that the converter leaves out of its table.

Some kernels take int8 although the converter does not know it, and puts a
DEQUANTIZE before the operator and a QUANTIZE behind it. The numbers are those
that a table of 256 entries gives, so both are taken out.
"""

from tflite.format import model_file

# Their kernels look each int8 number up.
_KNOWN = frozenset({"ELU"})


def restored(model: bytes) -> bytes:
    """Returns a model in which such operators read and write int8.

    Args:
        model: A .tflite file, of the converter.
    """
    whole = model_file.read(model)
    changed = False
    for graph in whole.subgraphs:
        changed |= _restore(whole, graph)
    return model_file.write(whole) if changed else model


def _restore(whole, graph) -> bool:
    """Takes out what is around the known operators; tells if there is any."""

    def name(operator):
        return model_file.operator_name(
            whole.operatorCodes[operator.opcodeIndex]
        )

    writer = {op.outputs[0]: op for op in graph.operators}
    readers: dict[int, list] = {}
    for operator in graph.operators:
        for tensor in operator.inputs:
            readers.setdefault(tensor, []).append(operator)
    unused = []
    for operator in graph.operators:
        if name(operator) not in _KNOWN:
            continue
        before = writer.get(operator.inputs[0])
        behind = readers.get(operator.outputs[0], [])
        if before is None or name(before) != "DEQUANTIZE":
            continue
        if [name(each) for each in behind] != ["QUANTIZE"]:
            continue
        readers[before.outputs[0]].remove(operator)
        if not readers[before.outputs[0]]:
            unused.append(before)
        operator.inputs = [before.inputs[0]]
        operator.outputs = [behind[0].outputs[0]]
        unused.append(behind[0])
    taken_out = {id(each) for each in unused}
    graph.operators = [
        each for each in graph.operators if id(each) not in taken_out
    ]
    return bool(unused)
