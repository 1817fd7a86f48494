"""Robustness tests behind one command: faults, broken input, threads and processes, large and long work."""
