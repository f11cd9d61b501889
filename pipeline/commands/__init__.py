"""The verbs that are not stages of an experiment."""
