"""Defines the error of a layer that cannot be quantized."""


class UnsupportedLayerError(ValueError):
    """Says that a layer has no form that can be quantized."""
