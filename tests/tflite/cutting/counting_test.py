"""Numbers of operations are of sound models alone."""

import pytest

from tflite.cutting import counting
from tflite.format import model_file


def test_an_operator_without_the_axes_that_it_needs(int8_model):
    whole = model_file.read(int8_model)
    for graph in whole.subgraphs:
        for operator in graph.operators:
            code = whole.operatorCodes[operator.opcodeIndex]
            if model_file.operator_name(code) == "FULLY_CONNECTED":
                graph.tensors[operator.inputs[1]].shape = [5]
    with pytest.raises(model_file.InvalidModel):
        counting.count(model_file.write(whole))
