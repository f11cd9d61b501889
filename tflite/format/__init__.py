"""Reads and writes the bytes of .tflite files, and trusts none of them."""
