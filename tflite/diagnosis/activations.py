"""Reads what the tensors inside an int8 model hold for an image."""

from collections.abc import Iterable, Sequence

import numpy as np

from tflite.bundle import InputFacts
from tflite.format import model_file
from tflite.runtime import interpreter
from tflite.runtime.quantized import quantized


class Activations:
    """Runs a model and reads some of its tensors.

    They are made outputs, so that the kernels are those of the device, and no
    memory is used for two of them in turn.
    """

    def __init__(self, model: bytes, tensors: Sequence[int]):
        """Loads the model.

        Args:
            model: Its one input is int8 [1, H, W, C].
            tensors: Numbers of what its operators compute.

        Raises:
            flatbuffer.InvalidModel: If `model` is damaged, or may not be run.
        """
        contents = model_file.read(model)
        graph = contents.subgraphs[0]
        places = {index: place for place, index in enumerate(graph.outputs)}
        for index in tensors:
            places.setdefault(index, len(places))
        graph.outputs = list(places)
        self._interpreter = interpreter.load(model_file.write(contents))
        [self._input] = self._interpreter.get_input_details()
        self._facts = InputFacts(tuple(map(int, self._input["shape"][1:])))
        outputs = self._interpreter.get_output_details()
        self._read = [outputs[places[index]] for index in tensors]

    def image(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the numbers that the model takes uint8 pixels for.

        They are float32, of the shape of `pixels`.
        """
        return _dequantized(quantized(pixels, self._facts), self._input)

    def of(self, images: Iterable[np.ndarray]) -> list[np.ndarray]:
        """Returns the tensors for uint8 images [N, H, W, C].

        Returns:
            Per tensor float32 [N, ...]: the numbers that it stands for.
        """
        found = [[] for _ in self._read]
        for pixels in images:
            values = quantized(pixels, self._facts)
            self._interpreter.set_tensor(self._input["index"], values[None])
            self._interpreter.invoke()
            for rows, details in zip(found, self._read, strict=True):
                values = self._interpreter.get_tensor(details["index"])
                rows.append(_dequantized(values, details))
        return [np.concatenate(rows) for rows in found]


def _dequantized(values: np.ndarray, details: dict) -> np.ndarray:
    scale, zero_point = details["quantization"]
    if not scale:  # Left in float.
        return values.astype(np.float32)
    return np.float32(scale) * (values.astype(np.float32) - zero_point)
