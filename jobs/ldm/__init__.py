"""Latent diffusion models on a node: networks, training, sampling. Everything here imports torch."""
