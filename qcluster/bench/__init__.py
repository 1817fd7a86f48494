"""Benchmarks: circuits with their ideal output, methods to compare, campaigns that resume, and reports."""
