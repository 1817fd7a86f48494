"""Deconvolution: broad outputs seen through noise."""
