"""Makes the stages `train` and `evaluate`; training survives being killed."""
