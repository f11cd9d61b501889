"""Runs Beam pipelines and spreads their elements."""
