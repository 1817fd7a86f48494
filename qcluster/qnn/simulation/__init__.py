"""Exact decision values and gradients: closed forms, path sums, and dense adjoint simulation as a fallback."""
