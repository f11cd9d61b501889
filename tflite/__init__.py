"""Takes a trained model to a phone: quantizes, converts, splits, bundles, runs.

A name is imported when it is first asked for: `quantize` alone needs
TensorFlow, and a device has no use for it.
"""

import importlib
import pathlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tflite import bundle
    from tflite.cutting.split import split
    from tflite.quantization.int8_model import quantize
    from tflite.runtime.batch_harness import BatchHarness
    from tflite.runtime.harness import Harness

# A distribution called `tflite`, the schema as the flatbuffer compiler writes
# it, has a package of this name, too: the one that is installed last overwrites
# files of the other, and whichever is uninstalled takes them with it.
_THEIRS = pathlib.Path(__file__).with_name("Model.py")
if _THEIRS.exists():
    raise ImportError(
        "The distribution `tflite` has put its files into the package `tflite` "
        "of keras-dynamic: run `pip uninstall tflite`, and install "
        f"keras-dynamic again. Received: {_THEIRS}"
    )

_PLACES = {
    "BatchHarness": "runtime.batch_harness",
    "Harness": "runtime.harness",
    "quantize": "quantization.int8_model",
    "split": "cutting.split",
}

__all__ = ["BatchHarness", "Harness", "bundle", "quantize", "split"]


def __getattr__(name: str) -> object:
    """Returns a public name, imported from the module that holds it."""
    if name == "bundle":
        return importlib.import_module(f"{__name__}.bundle")
    if name in _PLACES:
        module = importlib.import_module(f"{__name__}.{_PLACES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Returns the public names."""
    return sorted({*globals(), *__all__})
