"""Starts child processes that cannot outlive this one; talks to terminals."""
