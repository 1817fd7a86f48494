"""Training: the losses, the problem that binds them to data, the solvers, and several starts of one."""
