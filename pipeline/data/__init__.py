"""Reads prepared images in batches; holds their form, splits and records."""
