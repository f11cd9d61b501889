"""Networks with several exits and how they learn: Keras 3, any backend."""
