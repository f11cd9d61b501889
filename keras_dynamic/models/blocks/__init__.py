"""Holds what the families are built from, and checks their arguments."""
