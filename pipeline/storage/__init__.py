"""Reads and writes files, here and in object stores, whole or not at all."""
