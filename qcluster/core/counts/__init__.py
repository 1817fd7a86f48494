"""Bitstrings, weighted distributions of them, readers of counts, observables and metrics. Independent of any noise."""
