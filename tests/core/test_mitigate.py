import numpy as np
import pytest

import qcluster as qc

COUNTS = {"000": 430, "001": 70, "110": 60, "111": 440}


def test_the_outcome_tells_what_was_done():
    fixed = qc.mitigate(COUNTS, 0.08, method="paper")
    assert (fixed.method, fixed.applied, fixed.share) == ("paper", True, 1.0)
    assert 0 <= fixed.confidence <= 1
    assert fixed.centroids.shape == (len(fixed.weights), 3)
    assert fixed.rates.shape == (3,)
    assert fixed.raw.to_counts() == COUNTS
    assert "8.0% flips per bit" in fixed.reason
    assert "paper" in repr(fixed)
    assert sorted(fixed.weights.tolist(), reverse=True) == fixed.weights.tolist()


def test_asymmetric_rates_are_kept():
    rates = np.array([[0.01, 0.05]] * 3)
    assert np.array_equal(qc.mitigate(COUNTS, rates, method="paper").rates, rates)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"rates": 0.1, "method": "magic"}, "one of .*paper.*; got 'magic'"),
        ({"method": "paper"}, "needs rates"),
        ({"rates": 0.6, "method": "paper"}, "got 0.6 for bit 0"),
    ],
)
def test_wrong_arguments_are_named(arguments, said):
    with pytest.raises(ValueError, match=said):
        qc.mitigate(COUNTS, **arguments)
