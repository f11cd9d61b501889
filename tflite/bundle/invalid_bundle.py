"""Defines the error of whoever reads a bundle."""


class InvalidBundle(ValueError):
    """Says that a bundle is incomplete, damaged, or of an unknown format."""
