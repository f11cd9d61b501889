"""Makes small networks int8 by a method, and compares what they say."""

import dataclasses

import keras
import numpy as np

from tflite.cutting import split
from tflite.quantization import conversion, methods
from tflite.quantization.methods.method import Task
from tflite.runtime import interpreter

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 4), np.uint8)


@dataclasses.dataclass(frozen=True)
class Converted:
    """Holds a network on its way to int8.

    Attributes:
        model: The .tflite file.
        fake: Logits before conversion, float32 [K, N, C].
        int8: Those of the file, numbers that its scales give.
        scales: The scale of each exit.
    """

    model: bytes
    fake: np.ndarray
    int8: np.ndarray
    scales: np.ndarray

    def steps_off(self) -> float:
        """Returns the largest difference, in steps of an exit's scale."""
        far = np.abs(self.fake - self.int8).max(axis=(1, 2))
        return float((far / self.scales).max())

    def agreement(self, others: np.ndarray) -> float:
        """Returns the least correlation of an exit with other logits."""
        return min(
            float(np.corrcoef(np.ravel(ours), np.ravel(theirs))[0, 1])
            for ours, theirs in zip(self.int8, others, strict=True)
        )


def two_exits(body, pixels: np.ndarray = PIXELS) -> keras.Model:
    """Builds a network with something between its stem and its exits.

    Args:
        body: Function from a map [B, H, W, 8] to a map or vector.
        pixels: Images that it is for.
    """
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    layers = keras.layers

    def head(x, exit):
        pooled = layers.GlobalAveragePooling2D()(x) if x.ndim == 4 else x
        return layers.Dense(5, name=f"exit_{exit}")(pooled)

    image = keras.Input(pixels.shape[1:], name="image")
    x = layers.Conv2D(8, 3, padding="same", name="stem")(image)
    first = body(x)
    deeper = layers.Dense(8) if first.ndim == 2 else layers.Conv2D(8, 3)
    second = layers.ReLU()(deeper(first))
    model = keras.Model(image, [head(first, 0), head(second, 1)])
    for weight in model.weights:
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif weight.name in ("beta", "bias", "moving_mean"):
            weight.assign(rng.normal(0, 0.3, weight.shape))
    return model


def logits(model, pixels: np.ndarray = PIXELS) -> np.ndarray:
    """Returns what a model of Keras says, float32 [K, N, C]."""
    return np.stack(model.predict_on_batch(pixels / np.float32(255)))


def converted(
    model: keras.Model, method: str, directory, pixels: np.ndarray = PIXELS
) -> Converted:
    """Quantizes a model without a step of fine-tuning."""
    images = [pixels / np.float32(255)]
    task = Task(model=model, exits=len(model.outputs), images=images)
    quantized = methods.get(method)(task)
    quantized.save(directory / "saved")
    return compared(
        quantized.deployed(), conversion.convert(directory / "saved"), pixels
    )


def compared(deployed, model: bytes, pixels: np.ndarray = PIXELS) -> Converted:
    """Runs a network and its int8 model over images."""
    runner = interpreter.load(model).get_signature_runner()
    details = runner.get_output_details()
    said = [runner(image=device(each)) for each in pixels]
    scales, int8 = [], []
    for exit in sorted(details):
        scale, zero_point = details[exit]["quantization"]
        found = np.concatenate([each[exit] for each in said])
        int8.append(scale * (found.astype(np.float32) - zero_point))
        scales.append(scale)
    return Converted(
        model, logits(deployed, pixels), np.stack(int8), np.array(scales)
    )


def device(image: np.ndarray) -> np.ndarray:
    """Returns an image as a device sees it, int8 [1, H, W, C]."""
    return (image.astype(np.int16) - 128).astype(np.int8)[None]


def chain_is_exact(
    model: bytes, run_whole, run_chain, pixels: np.ndarray = PIXELS
) -> bool:
    """Tells whether the segments say what the unsplit model says."""
    segments = split.split(model)
    for image in pixels[:4]:
        inputs = {"image": device(image)}
        whole, chain = run_whole(model, inputs), run_chain(segments, inputs)
        for exit, expected in whole.items():
            if not np.array_equal(chain[exit], expected):
                return False
    return len(segments) > 1
