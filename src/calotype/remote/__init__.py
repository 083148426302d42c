"""Hybrid inference, a VAE elsewhere: ``wire`` is its bytes, ``client`` sends them, ``vae`` stands in for it."""
