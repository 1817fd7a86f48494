"""Machines: their names, their calibrations, and the account that reaches them."""
