"""Factors on the fault rates of places, learned from flip patterns."""

from dataclasses import replace

import numpy as np
import pytest

from qcluster.core.noise.places import ReferencePatterns, learn_factors
from qcluster.core.stats.walsh import LinearIndex

WIDTH = np.array([0.7, 0.7, 0.3])


def drawn(seed, shots, factors):
    """A reference of 3 bits with faults at three places, whose rates are off by given factors."""
    rng = np.random.default_rng(seed)
    place, shifts = rng.integers(3, size=9), rng.integers(1, 8, size=9)
    place[:3] = range(3)
    rates = rng.uniform(0.005, 0.03, 9)
    reference = ReferencePatterns(LinearIndex(3), place, shifts, rates, np.zeros(8))
    chances = reference.kernel(rates * np.asarray(factors)[place]).patterns
    return replace(reference, seen=rng.multinomial(shots, chances / chances.sum()).astype(float))


def log_posterior(references, factors):
    """The Poisson number of each fault, summed over by brute force: P(y) = sum over numbers of faults that flip y."""
    value = -np.log1p((np.log(factors) / WIDTH) ** 2).sum()
    for one in references:
        chances = np.eye(8)[0]
        for shift, rate in zip(one.shifts, one.rates * factors[one.place], strict=True):
            odd = np.exp(-rate) * np.sinh(rate)
            chances = (1 - odd) * chances + odd * chances[np.arange(8) ^ shift]
        value += one.seen @ np.log(chances)
    return value


@pytest.mark.parametrize("many", [1, 2])
def test_no_other_factors_are_more_probable(many):
    references = [drawn(seed, 4000, [2.0, 0.5, 1.2]) for seed in range(many)]
    factors, _ = learn_factors(references, WIDTH)
    best = log_posterior(references, factors)
    for place in range(3):
        for step in (0.9, 1.1):
            assert log_posterior(references, factors * np.where(np.arange(3) == place, step, 1)) < best


def test_many_shots_tell_every_factor():
    factors, faults = learn_factors([drawn(1, 10_000_000, [2.0, 0.5, 1.2])], WIDTH)
    assert factors == pytest.approx([2.0, 0.5, 1.2], rel=0.03)
    expected = drawn(1, 10_000_000, [1, 1, 1]).expected(3)
    assert faults == pytest.approx(expected * factors, rel=1e-3)


def test_no_shots_leave_the_calibration_as_it_is():
    empty = replace(drawn(1, 10, [1, 1, 1]), seen=np.full(8, 1e-9))
    assert learn_factors([empty], WIDTH)[0] == pytest.approx(1.0, abs=1e-6)
