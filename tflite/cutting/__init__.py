"""Cuts one .tflite file into segments at exits and gates."""
