"""A finite mixture of strings, seen through noise: its likelihood, its EM, and the search for its strings."""
