"""Compares the metrics of an experiment with a reference: see docs/gate.md."""
