"""Whole estimators, each of which a method puts behind the one verb."""
