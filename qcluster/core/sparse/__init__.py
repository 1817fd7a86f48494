"""The sparse mixture: a few strings seen through noise. Its likelihood, its EM, and the search for its strings."""
