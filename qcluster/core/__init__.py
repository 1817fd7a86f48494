"""The numerical core: counts in, a better distribution out. Imports numpy and nothing else."""
