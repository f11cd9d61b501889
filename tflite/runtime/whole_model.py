"""Runs the int8 model with every exit, as it was before the cut."""

import numpy as np

from tflite.bundle import InputFacts
from tflite.runtime import interpreter
from tflite.runtime.quantized import quantized

IMAGE = "image"


class Unsplit:
    """Runs the unsplit model.

    The chain must equal it, and is measured against it.

    Args:
        model: From `tflite.quantization.conversion.convert`: the input `image`,
            int8 [1, H, W, C], and the outputs `exit_0`, `exit_1`, ...
        threads: Threads that an operator may use.

    Raises:
        ValueError: If the model is damaged, or it has other inputs or outputs.
    """

    def __init__(self, model: bytes, threads: int = 1):
        self._interpreter = interpreter.load(
            model, interpreter.Options(threads=threads)
        )
        signatures = self._interpreter.get_signature_list()
        if [list(each["inputs"]) for each in signatures.values()] != [[IMAGE]]:
            raise ValueError(
                f"`model` must have one signature with one input, {IMAGE}. "
                f"Received: {signatures}"
            )
        runner = self._interpreter.get_signature_runner()
        image = runner.get_input_details()[IMAGE]
        if image["dtype"] != np.int8 or len(image["shape"]) != 4:
            raise ValueError(
                f"`model` must take {IMAGE} as int8 [1, H, W, C]. "
                f"Received: {image['dtype'].__name__} {image['shape']}"
            )
        self._input = image["index"]
        height, width, channels = map(int, image["shape"][1:])
        self._facts = InputFacts((height, width, channels))
        outputs = runner.get_output_details()
        names = [f"exit_{k}" for k in range(len(outputs))]
        if set(names) != set(outputs):
            raise ValueError(
                f"`model` must have the outputs {', '.join(names)}. "
                f"Received: {', '.join(outputs)}"
            )
        self._outputs = [outputs[name] for name in names]

    def logits(self, image: np.ndarray) -> list[np.ndarray]:
        """Returns every exit's logits, int8 [C] each, of a uint8 [H, W, C]."""
        pixels = quantized(image, self._facts)
        self._interpreter.set_tensor(self._input, pixels[None])
        self._interpreter.invoke()
        return [
            self._interpreter.get_tensor(output["index"])[0]
            for output in self._outputs
        ]

    def dequantize(self, logits: list[np.ndarray]) -> np.ndarray:
        """Returns the numbers for the logits of every exit, float64 [K, C]."""
        values = []
        for output, raw in zip(self._outputs, logits, strict=True):
            scale, zero_point = output["quantization"]
            values.append(scale * (raw.astype(np.float64) - zero_point))
        return np.stack(values)
