"""The full-vector deconvolution against dense matrices and plain EM, and its laws."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcluster.core.decision.candidates import GRID
from qcluster.core.dense import bitflips
from qcluster.core.dense.bitflips import deconvolve, smooth
from qcluster.core.noise.bitflips import IndependentFlips, channel_matrices
from tests.core.dense.oracle_deconvolve import dense_channel, maximum_likelihood


@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_channel_is_the_dense_matrix(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rates = rng.uniform(0, 0.49, (2, n, 2))
    vectors = rng.random((2, 1 << n))
    channel = IndependentFlips(rates)
    for h in range(2):
        matrix = dense_channel(rates[h])
        np.testing.assert_allclose(channel_matrices(rates)[h], matrix, atol=1e-14)
        np.testing.assert_allclose(channel.forward(vectors)[h], matrix @ vectors[h], atol=1e-12)
        np.testing.assert_allclose(channel.adjoint(vectors)[h], matrix.T @ vectors[h], atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_many_shots_give_the_maximum_of_the_likelihood(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bitflips, "_BIAS", 0.0)  # a uniform background, which the oracle has, too
    rng = np.random.default_rng(seed)
    n = 4
    ideal = rng.dirichlet(np.full(1 << n, 0.5))
    rates = rng.uniform(0.02, 0.1, (n, 2))
    counts = 1e7 * (dense_channel(rates) @ ideal)
    found = deconvolve(counts, rates[None], np.array([1.0]), steps=2000)
    best = maximum_likelihood(counts, rates)
    explained = (1 - found.background[0]) * found.roots[0] ** 2 + found.background[0] / (1 << n)
    np.testing.assert_allclose(explained, best, atol=3e-3)


def test_more_steps_raise_the_bound() -> None:
    rng = np.random.default_rng(5)
    counts = rng.multinomial(2000, rng.dirichlet(np.full(64, 0.2))).astype(float)
    rates = np.broadcast_to(np.array([0.02, 0.1, 0.2])[:, None, None], (3, 6, 2))
    bounds = [deconvolve(counts, rates, np.full(3, 0.1), steps=s).evidence for s in (8, 20, 60, 300)]
    for worse, better in pairwise(bounds):
        assert (better > worse - 2).all()
    assert (bounds[2] > bounds[3] - 5).all()


def test_evidence_prefers_the_rate_that_was_used() -> None:
    rng = np.random.default_rng(11)
    n, tried = 6, np.array([0.0, 0.05, 0.15, 0.3])
    ideal = np.zeros(1 << n)
    ideal[rng.choice(1 << n, 4, replace=False)] = 0.25
    counts = rng.multinomial(20000, dense_channel(np.full((n, 2), 0.15)) @ ideal).astype(float)
    rates = np.broadcast_to(tried[:, None, None], (4, n, 2))
    found = deconvolve(counts, rates, np.full(4, 1 / 64))
    assert tried[found.evidence.argmax()] == 0.15
    assert (np.sqrt(ideal) @ found.roots[found.evidence.argmax()]) ** 2 > 0.99


@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_relabelling_bits_relabels_the_answer(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(1000, rng.dirichlet(np.full(1 << n, 0.3))).astype(float)
    rates = rng.uniform(0, 0.3, (1, n, 2))
    order = rng.permutation(n)
    moved = ((np.arange(1 << n)[:, None] >> order & 1) << np.arange(n)).sum(axis=1)
    there = np.zeros_like(counts)
    there[moved] = counts
    a = deconvolve(counts, rates, np.array([0.3]))
    b = deconvolve(there, rates[:, order], np.array([0.3]))
    np.testing.assert_allclose(b.roots[0, moved], a.roots[0], atol=1e-6)
    assert b.evidence[0] == pytest.approx(a.evidence[0], abs=1e-4)


def test_a_length_that_is_no_power_of_two_is_refused() -> None:
    with pytest.raises(ValueError, match=r"2\*\*n"):
        deconvolve(np.ones(6), np.zeros((1, 2, 2)), np.ones(1))


def test_smoothing_brings_few_shots_of_a_flat_output_nearer() -> None:
    rng = np.random.default_rng(0)
    ideal = rng.dirichlet(np.ones(256))
    counts = rng.multinomial(300, ideal).astype(float)
    raw = np.sqrt(counts / 300) @ np.sqrt(ideal)
    assert smooth(counts) @ np.sqrt(ideal) > raw + 0.02


@pytest.mark.parametrize("seed", [248, 269, 374])
def test_hundreds_of_millions_of_shots_stay_finite_in_single_precision(seed: int) -> None:
    """Where nearly all shots are lost, sums in single precision may count more of them than there are."""
    rng = np.random.default_rng(seed)
    n = int(rng.choice([8, 9, 12]))
    counts, read = np.zeros(1 << n), int(rng.integers(2, 250))
    rows = rng.choice(1 << n, read, replace=False)
    scale = rng.choice([1e3, 1e5, 1e6, 1e7])
    counts[rows] = scale * (rng.pareto(rng.choice([1, 5]), read) + rng.choice([0, 1]))
    rates = np.stack([np.full((n, 2), flips) for flips, _ in GRID])
    found = deconvolve(counts, rates, np.array([density or 0.5**n for _, density in GRID]), steps=24)
    assert np.isfinite(found.roots).all()
    assert np.isfinite(found.evidence).all()
