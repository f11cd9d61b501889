"""Sets options of TensorFlow and Keras before they are imported."""

import os


def set_defaults() -> None:
    """Sets the environment that stages need, where it is not set already."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    # Without it convolutions are a third slower where there is no AVX-512.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
