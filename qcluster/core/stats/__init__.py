"""Statistics that know nothing of strings sent and read: special functions, goodness of fit, Walsh transforms."""
