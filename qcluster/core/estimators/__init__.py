"""Complete estimators, which `qcluster.core.methods` registers as methods."""
