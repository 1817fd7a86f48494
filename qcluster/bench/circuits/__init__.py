"""Benchmark circuits with their ideal output: scalable families, suites, and circuits from users' files."""

from qcluster.bench.circuits.case import Case, simulate
from qcluster.bench.circuits.files import read_cases
from qcluster.bench.circuits.suites import FAMILIES, PAPER, SUITES, make_case, names_of_suite, suite

__all__ = ["FAMILIES", "PAPER", "SUITES", "Case", "make_case", "names_of_suite", "read_cases", "simulate", "suite"]
