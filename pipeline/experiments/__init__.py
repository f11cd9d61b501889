"""Compares finished working directories: runs, seeds, published curves."""
