"""Rewrites any functional model in a small vocabulary that int8 has forms of.

`of` is the one pass from Keras 3 to Keras 3 that quantization starts from, and
`vocabulary.VOCABULARY` lists what may be in the model that it returns.
"""
