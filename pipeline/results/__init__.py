"""Keeps the results that the stages leave, and reads them."""
