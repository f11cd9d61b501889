"""Compares what an experiment reached with a reference: see docs/gate.md."""
