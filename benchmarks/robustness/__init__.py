"""Bad days, one command: faults, broken input, threads and processes, large and long work."""
