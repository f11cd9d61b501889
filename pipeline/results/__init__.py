"""Holds what the stages leave, and reads it."""
