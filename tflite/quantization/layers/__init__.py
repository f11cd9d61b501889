"""Translates the layers that need more than their Keras counterpart."""
