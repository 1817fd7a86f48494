"""Strings with weights, and nothing of noise: bits, distributions, what counts are read from, observables, metrics."""
