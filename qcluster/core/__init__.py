"""The numerical core, from counts to mitigated distributions. It imports NumPy and nothing else."""
