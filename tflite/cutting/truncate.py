"""Keeps one exit of a model of several, without those around it."""

from tflite.cutting import assembly, dependencies
from tflite.format import model_file


def truncate(model: bytes, output: str) -> bytes:
    """Keeps one output of a .tflite model, and the operators that it needs.

    The result is a static model: the shallower exits' own operators go as
    the deeper ones do. Its output is the original's, bit for bit.

    Args:
        model: A .tflite file with one signature.
        output: Name of the output in the signature.

    Raises:
        flatbuffer.InvalidModel: If `model` is damaged.
        ValueError: If it has no such output.
    """
    whole = model_file.read(model)
    graph = whole.subgraphs[0]
    [signature] = whole.signatureDefs
    outputs = {
        model_file.text(e.name): e.tensorIndex for e in signature.outputs
    }
    if output not in outputs:
        raise ValueError(
            f"`output` must be one of {', '.join(sorted(outputs))}. "
            f"Received: {output!r}"
        )
    # The tensors keep their names but for those of the signature.
    names = [model_file.text(each.name) for each in graph.tensors]
    for entry in [*signature.inputs, *signature.outputs]:
        names[entry.tensorIndex] = model_file.text(entry.name)
    part = dependencies.ancestors(
        graph, {outputs[output]}, set(range(len(graph.operators)))
    )
    return assembly.assemble(
        whole,
        sorted(part),
        dependencies.tensors(graph.inputs),
        [outputs[output]],
        names,
    )
