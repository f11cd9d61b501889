"""Trains several exits with Keras `fit`, and holds the papers' optimizer."""
