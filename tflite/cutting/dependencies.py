"""Finds which operators of a .tflite graph need which others.

A graph is a `SubGraphT` of `model_file.read`; operators and tensors are their
indices. Operators stand in an order in which they can run.
"""

from collections.abc import Iterable, Sequence


def tensors(indices: Sequence[int] | None) -> list[int]:
    """Returns the tensors among `indices`; -1 is an optional one not given."""
    return [] if indices is None else [int(i) for i in indices if i != -1]


def static_operators(graph) -> tuple[set[int], set[int]]:
    """Separates the operators that constants alone feed from the others.

    Such an operator may turn float16 weights into float32. Its result must not
    cross a cut: XNNPACK folds it into the weights and leaves the output
    unwritten, and a convolution with weights that come in at run time leaves
    XNNPACK.
    """
    static: set[int] = set()
    varying: set[int] = set()
    computed = set(tensors(graph.inputs))
    for index, operator in enumerate(graph.operators or []):
        if computed.isdisjoint(tensors(operator.inputs)):
            static.add(index)
        else:
            varying.add(index)
            computed.update(tensors(operator.outputs))
    return static, varying


def ancestors(graph, of: Iterable[int], among: set[int]) -> set[int]:
    """Returns the operators `among` these that the tensors `of` depend on."""
    found: set[int] = set()
    waiting = set(of)
    for index in sorted(among, reverse=True):
        if not waiting.isdisjoint(tensors(graph.operators[index].outputs)):
            found.add(index)
            waiting.update(tensors(graph.operators[index].inputs))
    return found


def read_by(graph, part: Iterable[int]) -> set[int]:
    """Returns the tensors that the operators `part` read."""
    return {t for i in part for t in tensors(graph.operators[i].inputs)}


def written_by(graph, part: Iterable[int]) -> dict[int, int]:
    """Returns the tensors that operators `part` write, each with its writer."""
    return {t: i for i in part for t in tensors(graph.operators[i].outputs)}
