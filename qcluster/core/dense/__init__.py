"""Deconvolution: estimate broad outputs from noisy counts."""
