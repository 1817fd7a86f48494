"""Noise models: what a machine makes of the strings that a circuit sends."""
