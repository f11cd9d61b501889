"""Holds the blocks of the model families, and checks their arguments."""
