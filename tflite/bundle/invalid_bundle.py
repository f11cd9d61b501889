"""The error of whoever reads a bundle."""


class InvalidBundle(ValueError):
    """A bundle that is incomplete, damaged, or of an unknown format."""
