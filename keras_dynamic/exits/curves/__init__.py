"""Tells how good exits and policies are: curves, areas; numpy only."""
