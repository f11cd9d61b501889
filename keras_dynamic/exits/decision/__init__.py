"""Decides when an image stops, and tells what a routing gives; numpy only."""
