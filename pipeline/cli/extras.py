"""Says which extras of the package to install where a module is missing."""

from pipeline.cli.verbs import VERBS

# Modules that a verb imports only where it is asked to do so.
_OF_MODULES = {
    "jax": "jax",
    "jaxlib": "jax",
    "tflite_support": "support",
}


def hint(verb: str, module: str | None) -> str:
    """Returns advice on how to install the module that a verb needs.

    Args:
        verb: One of `VERBS`; for any other text it is the base install.
        module: The missing module.
    """
    top = (module or "").partition(".")[0]
    names = list(VERBS[verb].extras) if verb in VERBS else []
    if top in _OF_MODULES:
        names.append(_OF_MODULES[top])
    package = f"keras-dynamic[{','.join(names)}]" if names else "keras-dynamic"
    return f"`{verb}` works with `pip install '{package}'`"
