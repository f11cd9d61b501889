"""Tells how much of a model XNNPACK runs."""

from dataclasses import dataclass

from tflite.runtime import interpreter


@dataclass(frozen=True)
class Delegation:
    """Describes what the runtime's CPU delegate, XNNPACK, takes of a model.

    Each switch between the delegate and the built-in kernels costs time, so a
    fast segment is one partition and leaves no operator.

    Attributes:
        operators: Operators in the model.
        partitions: Pieces of the graph that the delegate runs.
        left: Operators that it leaves to the built-in kernels, in graph order.
    """

    operators: int
    partitions: int
    left: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Tells whether the model is one delegated partition, nothing else."""
        return self.partitions == 1 and not self.left


def delegation(model: bytes | interpreter.Verified) -> Delegation:
    """Allocates `model` and reads off which operators the delegate took.

    After allocation the runtime lists the file's operators and, behind them,
    one DELEGATE node per partition, which names the tensors that enter and
    leave it. The operators between these tensors are the partition's.
    `_get_ops_details` is not a public method; every interpreter since
    TensorFlow 2.5 has it.

    Raises:
        flatbuffer.InvalidModel: if `model` is not sound, or has an operator
            that may not be run.
        interpreter.Refused: if the interpreter does not take `model`.
    """
    nodes = interpreter.load(model)._get_ops_details()
    partitions = [node for node in nodes if node["op_name"] == "DELEGATE"]
    operators = [node for node in nodes if node["op_name"] != "DELEGATE"]
    producer = {
        tensor: index
        for index, node in enumerate(operators)
        for tensor in node["outputs"].tolist()
    }
    taken: set[int] = set()
    for partition in partitions:
        inside = producer.keys() - partition["inputs"].tolist()
        waiting = partition["outputs"].tolist()
        while waiting:
            index = producer[waiting.pop()]
            if index not in taken:
                taken.add(index)
                waiting += inside.intersection(
                    operators[index]["inputs"].tolist()
                )
    return Delegation(
        operators=len(operators),
        partitions=len(partitions),
        left=tuple(
            node["op_name"]
            for index, node in enumerate(operators)
            if index not in taken
        ),
    )
