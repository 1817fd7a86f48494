"""The strings that are chosen, against the marginal likelihood of every set of one, two or three of all strings."""

from functools import lru_cache
from itertools import combinations, product
from math import factorial, log

import numpy as np
import pytest

from qcluster.core.counts.bits import index_bits
from qcluster.core.sparse.fit import MixtureSettings, fit_mixture
from tests.core.sparse.test_fit import flipped


@lru_cache
def simplex(k: int, steps: int) -> np.ndarray:
    """All shares of k strings and uniform noise in whole steps, ``(k + 1, g)``."""
    parts = [part for part in product(range(steps + 1), repeat=k) if sum(part) <= steps]
    return np.array([(*part, steps - sum(part)) for part in parts]).T / steps


def levels(read, strings, rate: float, steps: int) -> np.ndarray:
    """Log-likelihood of the counts at every point of the simplex."""
    n = read.n_bits
    flips = (read.bits[:, None] != index_bits(np.array(strings), n)[None]).sum(axis=2)
    columns = np.hstack([rate**flips * (1 - rate) ** (n - flips), np.full((len(flips), 1), 0.5**n)])
    return read.weights @ np.log(np.maximum(columns @ simplex(len(strings), steps), 1e-300))


def evidence(read, strings, rate: float, steps: int = 80) -> float:
    """``ln P(counts, strings)``: shares integrated out under a flat prior, every set of K strings alike."""
    found, k = levels(read, strings, rate, steps), len(strings)
    mean = float(np.logaddexp.reduce(found)) - log(len(found))
    return mean + log(factorial(k)) - k * read.n_bits * log(2)


def most_probable(read, rate: float) -> tuple[set[int], float]:
    """The set of highest evidence, and its log odds against the second; only the likeliest on a coarse grid count."""
    sets = [chosen for k in (1, 2, 3) for chosen in combinations(range(1 << read.n_bits), k)]
    coarse = [levels(read, chosen, rate, 12).max() - len(chosen) * 0.5 * log(read.shots) for chosen in sets]
    likely = [sets[i] for i in np.argsort(coarse)[-12:]]
    best, second = sorted(((evidence(read, chosen, rate), chosen) for chosen in likely), reverse=True)[:2]
    return set(best[1]), best[0] - second[0]


@pytest.mark.parametrize("n", [3, 4])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_most_probable_set_is_chosen(n, k):
    """Flip rates are known. The search does not try all sets, so one of ten may be missed."""
    right, smaller = 0, 0
    for seed in range(10):
        rng = np.random.default_rng([n, k, seed])
        sent = rng.choice(1 << n, k, replace=False)
        rate = rng.uniform(0.03, 0.15)
        read = flipped(index_bits(sent, n), rng.dirichlet(np.full(k, 5.0)), 1000, rate, rate, seed)
        best, odds = most_probable(read, rate)
        settings = MixtureSettings(prior_shots=1e6)
        fit = fit_mixture(read.bits, read.weights, rates=np.full((n, 2), rate), settings=settings)
        right += set((fit.centroids[fit.weights > 0.02] @ (1 << np.arange(n))).tolist()) == best
        smaller += odds > 1 and len(best) < read.n_outcomes
    assert right >= 9
    assert smaller == 10, "no set is as good as another, and none is all that was read"
