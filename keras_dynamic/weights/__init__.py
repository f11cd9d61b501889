"""Carries weights from one model to another: from files, by name, by slice."""
