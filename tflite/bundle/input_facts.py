"""Describes how an image enters a bundle: from photograph to tensor."""

import dataclasses

from tflite.bundle import manifest_rules
from tflite.bundle.invalid_bundle import InvalidBundle


@dataclasses.dataclass(frozen=True)
class FitFacts:
    """Describes how a photograph of any size becomes pixels of the input.

    It is turned upright, scaled to cover a square, and the centre is cut out.
    `docs/bundle.md` has each step; `pipeline.data.photograph` carries them out.

    Attributes:
        stored_size: Height and width of the square, in pixels. Training
            images were stored in that size.
        resampling: One of `manifest_rules.RESAMPLINGS`. "bilinear_antialiased"
            weighs pixels by a triangle that is as wide as two pixels of the
            result, or of the photograph if those are larger.
        crop: One of `manifest_rules.CROPS`: the part that is kept where the
            photograph sticks out of the square, and the square out of the
            input.
    """

    stored_size: int
    resampling: str = "bilinear_antialiased"
    crop: str = "centre"


@dataclasses.dataclass(frozen=True)
class InputFacts:
    """Describes how an image enters the first segment.

    A pixel p in 0..255 stands for p / 255. An int8 tensor holds it as p - 128,
    which is why its scale must be 1/255 and its zero point -128; a float32
    tensor holds p * scale. `tflite.runtime.quantized` does either.

    Attributes:
        shape: (height, width, channels).
        dtype: Type of the tensor: "int8" or "float32".
        scale: 1/255, within half a grey level at white.
        zero_point: -128 for int8, 0 for float32.
        fit: How a photograph becomes pixels of that shape. By default it is
            scaled to cover a square of the larger side.
    """

    shape: tuple[int, int, int]
    dtype: str = "int8"
    scale: float = 1 / 255
    zero_point: int = -128
    fit: FitFacts | None = None

    def __post_init__(self):
        if self.fit is None:
            object.__setattr__(self, "fit", FitFacts(max(self.shape[:2])))


def check(facts: InputFacts, stored: str = "input.fit.stored_size") -> None:
    """Checks the scale, the zero point and the size of stored images.

    Args:
        facts: Each value as `manifest_rules` has it.
        stored: Name, in an error, of the size that images are stored in.

    Raises:
        InvalidBundle: if the scale or the zero point is not that of the type,
            or images are stored too small for the input, or too large.
    """
    expected = manifest_rules.ZERO_POINTS[facts.dtype]
    if facts.zero_point != expected:
        raise InvalidBundle(
            f"`input.zero_point` must be {expected} for "
            f"{facts.dtype}. Received: {facts.zero_point}"
        )
    if not abs(255 * facts.scale - 1) <= 0.5 / 255:
        raise InvalidBundle(
            f"`input.scale` must be 1/255, {1 / 255}. Received: {facts.scale}"
        )
    height, width, channels = facts.shape
    least, size = max(height, width), facts.fit.stored_size
    if not (
        type(size) is int
        and least <= size
        and size * size * channels <= manifest_rules.MAX_PIXELS
    ):
        raise InvalidBundle(
            f"`{stored}` must be an integer, {least} or more, its square times "
            f"{channels} at most {manifest_rules.MAX_PIXELS}. "
            f"Received: {manifest_rules.shown(size)}"
        )
