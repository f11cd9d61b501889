"""Tells which int8 model, answers and policy a result is about."""

from pipeline.results.layout import Layout
from pipeline.storage import fingerprint
from tflite.bundle import Bundle


def identity(layout: Layout, bundle: Bundle) -> dict[str, str]:
    """Hashes what `convert` left, by name; a result keeps it as "made_from".

    A result of another model, of other test images or of another policy is
    told by it, and not by the time at which a file was written, which a copy
    or a wrong clock changes. Operating points beside the bundle's own policy
    change nothing.

    Args:
        layout: With the int8 model and its predictions.
        bundle: The bundle that was made of it.
    """
    files = {
        "model": str(layout.tflite_model),
        "predictions": str(layout.predictions),
    }
    return {
        **fingerprint.of_files(files),
        "policy": fingerprint.of(bundle.policy.to_dict()),
    }
