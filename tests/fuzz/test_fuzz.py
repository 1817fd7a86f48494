"""Bad input never ends in a traceback, a hang, or without bounds on memory.

A hundred inputs a way in with every test run; ten thousand with ``python -m pytest -m slow tests/fuzz``; any number
with any seed with ``QCLUSTER_FUZZ=50000 QCLUSTER_FUZZ_SEED=7 python -m pytest -m slow tests/fuzz -k "counts file"``.
"""

import contextlib
import os
import resource
import time

import pytest
from hypothesis import HealthCheck, given, seed, settings

from tests.fuzz.inputs import PATHS, PROMISED, quiet

MANY = int(os.environ.get("QCLUSTER_FUZZ", "10000"))
SEED = int(os.environ.get("QCLUSTER_FUZZ_SEED", "0"))
SECONDS = 10.0
"""Most computing for one input; not a figure of merit."""
PATIENCE = 120.0
"""Longest that one input may take with all waiting; on a busy machine, much of it is for others."""
MEGABYTES = 1024.0
"""Most that memory may grow over all inputs of a path."""


def fuzz(name: str, examples: int) -> int:
    """Feed a path; give how many inputs it was fed."""
    path, fed = PATHS[name], 0

    @seed(SEED)
    @settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=False
    )
    @given(path.inputs())
    def one(given_input):
        nonlocal fed
        fed += 1
        start, computed = time.perf_counter(), time.process_time()
        with quiet(), contextlib.suppress(*PROMISED):
            path.feed(given_input)
        assert time.process_time() - computed < SECONDS
        assert time.perf_counter() - start < PATIENCE

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    one()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before < MEGABYTES
    return fed


@pytest.mark.parametrize("name", PATHS)
def test_bad_input_is_refused_in_words(name):
    assert fuzz(name, 100) >= 60


@pytest.mark.slow
@pytest.mark.parametrize("name", PATHS)
def test_bad_input_by_the_thousand(name):
    assert fuzz(name, MANY) >= 0.6 * MANY
