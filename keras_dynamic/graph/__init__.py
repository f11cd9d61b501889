"""Reads a functional model: its calls, its exits, what gates skip."""
