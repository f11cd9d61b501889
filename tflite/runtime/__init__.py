"""Runs a bundle; needs numpy and an interpreter."""
