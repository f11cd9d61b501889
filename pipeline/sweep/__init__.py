"""Trains many configurations as one Beam pipeline."""
