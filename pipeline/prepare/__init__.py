"""Makes the stage `prepare`: the Beam pipeline from a source to shards."""
