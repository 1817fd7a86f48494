"""Noise models: the probability of reading each string, given the string that a noiseless circuit would output."""
