"""Tells why a model is not what it should be."""
