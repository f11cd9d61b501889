"""Rewrites any functional model in a small vocabulary that int8 has forms of.

`normal_form.of` is the one pass from Keras 3 to Keras 3 that quantization
starts from, and `vocabulary.VOCABULARY` lists what may be in its result.
"""

from keras_dynamic.normal_form.normalize import of
from keras_dynamic.normal_form.rewrite import NoNormalFormError

__all__ = ["NoNormalFormError", "of"]
