"""Training: losses, the training problem, solvers, runs from several starts, and the fitted attributes."""
