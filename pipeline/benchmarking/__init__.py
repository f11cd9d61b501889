"""Makes the stage `benchmark`."""
