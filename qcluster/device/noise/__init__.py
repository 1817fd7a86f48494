"""The noise of machines: for Aer, as flip patterns of a circuit, and as a reference circuit measures it."""
