"""Runs a bundle over many images with Beam."""
