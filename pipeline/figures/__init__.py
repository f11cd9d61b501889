"""Draws figures, and holds the templates of pages."""
