"""Reads the numbers that a .tflite model holds."""

import math

import numpy as np

# Codes of schema.fbs.
_DTYPES = {
    0: np.float32,
    1: np.float16,
    2: np.int32,
    3: np.uint8,
    4: np.int64,
    6: np.bool_,
    7: np.int16,
    9: np.int8,
}


def constant(contents, tensor) -> np.ndarray | None:
    """Returns the numbers that a tensor stands for, dequantized.

    Args:
        contents: From `model_file.read`.
        tensor: One of its tensors.

    Returns:
        float64 in the tensor's shape; None if it is no constant, or of an
        unusual type.
    """
    data = contents.buffers[tensor.buffer].data
    dtype = _DTYPES.get(tensor.type)
    if data is None or dtype is None:
        return None
    values = np.frombuffer(data.tobytes(), dtype).astype(np.float64)
    shape = [] if tensor.shape is None else list(map(int, tensor.shape))
    if values.size != math.prod(shape):
        return None
    values = values.reshape(shape)
    scale, zero_point, axis = quantization(tensor)
    if not scale:
        return values
    along = [1] * values.ndim
    if len(scale) > 1:
        along[axis] = len(scale)
    return np.reshape(scale, along) * (values - np.reshape(zero_point, along))


def quantization(tensor) -> tuple[list[float], list[int], int]:
    """Returns a tensor's scales, as many zero points, and their axis."""
    facts = tensor.quantization
    if facts is None or facts.scale is None or not len(facts.scale):
        return [], [], 0
    scale = [float(each) for each in facts.scale]
    points = [] if facts.zeroPoint is None else list(map(int, facts.zeroPoint))
    points = points or [0]
    if len(points) < len(scale):
        points *= len(scale)
    return scale, points, int(facts.quantizedDimension)
