"""Carries out the command line, one module per verb."""
