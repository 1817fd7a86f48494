"""Noise of a machine: as an Aer model, as the flip patterns of a circuit, and as measured by a reference circuit."""
