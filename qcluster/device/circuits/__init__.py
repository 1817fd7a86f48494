"""Compiled circuits: timing, twirling, scheduling, measurements, and the files they are stored in."""
