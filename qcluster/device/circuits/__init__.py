"""Compiled circuits: how they are timed, twirled, scheduled, measured, and written to files."""
