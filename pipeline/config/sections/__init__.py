"""Holds the sections of a configuration: a frozen dataclass a file."""
