"""Fits thresholds and temperatures to calibration images; numpy only."""
