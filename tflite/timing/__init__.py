"""Times contestants side by side, and cold starts."""
