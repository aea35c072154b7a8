"""Which laws explain the images: cost, unknown fields, stages of an inversion, posterior, and proofs of derivatives."""
