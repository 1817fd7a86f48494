"""Collisions and correlations shot by shot, and the misfit of true and of wrong predictions."""

from itertools import combinations

import numpy as np
import pytest

from qcluster.core.counts.bits import index_bits
from qcluster.core.stats import goodness
from qcluster.core.stats.goodness import collisions, deviance, distance_from_uniform, pearson_misfit, shot_noise


def misfit(predicted: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Deviance beyond shot noise, in nats a shot and in standard deviations."""
    expected = np.maximum(counts.sum() * predicted, 1e-9)
    usual, spread = shot_noise(expected)
    excess = float(deviance(counts, expected) - usual)
    return excess / 2 / counts.sum(), excess / float(spread)


@pytest.mark.parametrize("n", [4, 64, 4096, 65536])
def test_a_true_prediction_has_no_misfit_however_thin_the_counts(n):
    rng = np.random.default_rng(n)
    truth = rng.dirichlet(np.full(n, 0.3))
    sigmas = [misfit(truth, rng.multinomial(4000, truth).astype(float))[1] for _ in range(40)]
    assert abs(np.mean(sigmas)) < 0.6
    assert 0.5 < np.std(sigmas) < 1.5


def test_a_wrong_prediction_shows_its_relative_entropy():
    rng = np.random.default_rng(0)
    truth, wrong = rng.dirichlet(np.ones(32)), np.full(32, 1 / 32)
    excess, sigmas = misfit(wrong, rng.multinomial(100_000, truth).astype(float))
    assert excess == pytest.approx(np.sum(truth * np.log(truth / wrong)), abs=0.01)
    assert sigmas > 100


@pytest.mark.parametrize("cells", [10, 200])
def test_pearsons_statistic_is_measured_in_standard_deviations(cells):
    rng = np.random.default_rng(cells)
    expected = rng.uniform(20, 200, cells)
    scores = [pearson_misfit(expected, rng.poisson(expected).astype(float)) for _ in range(300)]
    assert abs(np.mean(scores)) < 0.25
    assert 0.8 < np.std(scores) < 1.25
    assert pearson_misfit(expected, expected * 1.5) > 5
    assert pearson_misfit(np.full(9, 0.5), np.full(9, 4.0)) == 0  # too thin to judge


@pytest.mark.parametrize(("n", "shots"), [(3, 40), (5, 25)])
def test_statistics_beyond_uniform_noise_are_those_of_pairs_of_shots_and_of_bits(n, shots):
    rng = np.random.default_rng([n, shots])
    read = index_bits(rng.integers(0, 2 ** (n - 1), shots), n)  # one bit never reads 1
    strings, counts = np.unique(read, axis=0, return_counts=True)
    pairs = [(a == b).all() for a, b in combinations(read, 2)]
    assert collisions(counts.astype(float)) == pytest.approx(np.mean(pairs))
    by_chance = len(pairs) / 2**n
    found = [(sum(pairs) - by_chance) / np.sqrt(by_chance + 1)]
    signs = 1 - 2 * read.astype(int)
    for size in (1, 2):
        squares = [signs[:, list(bits)].prod(axis=1).sum() ** 2 / shots for bits in combinations(range(n), size)]
        found.append((sum(squares) - len(squares)) / np.sqrt(2 * len(squares)))
    assert distance_from_uniform(strings, counts.astype(float)) == pytest.approx(max(found))


def by_definition(bits, shots):
    n, total = bits.shape[1], shots.sum()
    by_chance = 0.5 * total * (total - 1) / 2.0**n
    found = [(0.5 * (shots * (shots - 1)).sum() - by_chance) / np.sqrt(by_chance + 1)]
    signs = 1.0 - 2 * bits
    gram = (signs.T * shots) @ signs
    for squares in ((shots @ signs) ** 2 / total, gram[np.triu_indices(n, 1)] ** 2 / total):
        found.append((squares - 1).sum() / np.sqrt(2 * len(squares)))
    return max(found)


@pytest.mark.parametrize("scale", [1.0, 0.3, 1e7])
def test_whole_shots_broken_ones_and_very_many_are_counted_alike(scale, monkeypatch):
    """Over blocks of unequal length; 1e7 times the shots are more than single precision counts."""
    monkeypatch.setattr(goodness, "_ROWS", 150)
    rng = np.random.default_rng(8)
    strings = np.unique(rng.random((400, 12)) < 0.4, axis=0)
    counts = scale * np.where(rng.random(len(strings)) < 0.7, 1.0, rng.integers(2, 9, len(strings)))
    assert len(strings) % 150
    assert distance_from_uniform(strings, counts) == pytest.approx(by_definition(strings, counts), rel=1e-10)


def test_uniform_noise_is_seldom_beyond_itself():
    rng = np.random.default_rng(4)
    scores = []
    for _ in range(200):
        strings, counts = np.unique(rng.random((500, 8)) < 0.5, axis=0, return_counts=True)
        scores.append(distance_from_uniform(strings, counts.astype(float)))
    assert 0.3 < np.mean(scores) < 1.2  # the mean of the largest of three standard normal numbers is 0.85
    assert max(scores) < 6
