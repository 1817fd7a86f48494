"""Exact values of the classifier, without a simulator: by path sums, compression, and adjoint gradients."""
