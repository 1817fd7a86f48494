"""How many strings: the parts of the decision against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from qcluster.core.counts.bits import index_bits
from qcluster.core.noise.prior import REGIMES
from qcluster.core.sparse import model_selection
from qcluster.core.sparse.description_length import description_length, joining_costs
from qcluster.core.sparse.em import fit_all
from qcluster.core.sparse.fit import fit_mixture
from qcluster.core.sparse.forward_selection import joining_gains
from qcluster.core.sparse.model import Model, Prior, lay_out
from qcluster.core.sparse.model_selection import _poisson_cdf, average, concave_steps, gap_posterior
from tests.core.sparse.at_once import fit
from tests.core.sparse.test_fit import flipped


@given(st.lists(st.floats(-5, 50), min_size=2, max_size=12))
def test_steps_are_those_of_the_least_concave_majorant(levels):
    levels = np.array(levels)
    x = np.arange(len(levels))
    hull = levels.copy()
    for i in x:  # the highest chord above each point
        for a in range(i + 1):
            for b in range(i, len(levels)):
                if a < b:
                    hull[i] = max(hull[i], levels[a] + (levels[b] - levels[a]) * (i - a) / (b - a))
    np.testing.assert_allclose(np.cumsum(concave_steps(levels)), hull[1:] - levels[0], atol=1e-9)


@pytest.mark.parametrize(("count", "mean"), [(0, 0.3), (4, 2.5), (30, 28.0)])
def test_the_poisson_tail_is_that_of_scipy(count, mean):
    assert _poisson_cdf(count, mean) == pytest.approx(poisson.cdf(count, mean))


def slow_gaps(gains: list[float]) -> list[float]:
    """Smallest gain so far over the largest behind, none below five nats."""
    gains = [max(gain, 5.0) for gain in gains]
    return [min(gains[: k + 1]) / max(gains[k + 1 :]) for k in range(len(gains) - 1)]


def slow_gap_posterior(rows, path, complete) -> list[float]:
    """The gap squared over the number of strings, times the two scores of what lies behind it."""
    most, lengths = len(complete.weights), [np.inf if one is None else description_length(rows, one) for one in path]
    last = max(lengths.index(min(lengths)), most - 1)
    levels = [-rows.shots * rows.log_unit]
    for k, one in enumerate(path[: last + 1], 1):
        reached = [
            levels[-1],
            *([one.log_likelihood] if one else []),
            *([complete.log_likelihood] if k >= most else []),
        ]
        levels.append(max(reached))
    steps, joined = concave_steps(np.array(levels)).tolist(), joining_gains(rows, complete).tolist()
    joined += [0.0] * (last + 1 - most)
    further = last + 1 >= 0.85 * len(path)  # so many were tried that those behind may be real
    ends = [steps[-1], joined[-1]] if further else [0.0, 0.0]
    both = zip(slow_gaps([*steps, ends[0]]), slow_gaps([*joined, ends[1]]), strict=True)
    cost = np.mean([joining_costs(rows.n_bits, rows.shots)[d] for d in range(rows.n_bits // 2 + 1)])
    found = []
    for k, gap in enumerate(map(min, both)):
        behind = max(5.0, *steps[k + 1 :], ends[0])
        few = poisson.cdf(last - k, 2.5 * np.log(max(behind / cost, 1.0)))
        ratios = [complete.weights[k] / complete.weights[k + 1] if k + 1 < most else np.inf]
        if k < last and path[k + 1] is not None:
            ordered = sorted(path[k + 1].weights, reverse=True)
            ratios.append(ordered[k] / ordered[k + 1])
        step = min(max((max(ratios) - 1) / 0.5, 0.02), 1.0) ** 2
        found.append(0.0 if k >= most and path[k] is None else gap**2 / (k + 1) * (0.3 + 0.7 * few) * step)
    return [one / sum(found) for one in found] + [0.0] * (len(path) - last - 1)


@pytest.mark.parametrize(("sizes", "most", "tried"), [((1, 2, 3, 4), 3, 8), ((1, 2, 4), 2, 4), ((1, 2, 3, 4, 5), 4, 5)])
def test_the_number_of_strings_is_as_probable_as_its_gap_makes_it(sizes, most, tried):
    sent = index_bits(np.array([3, 60, 17, 37, 10]), 6)
    read = flipped(sent[:4], np.array([0.4, 0.3, 0.17, 0.13]), 3000, 0.08, 0.15, 1)
    rows = lay_out(read.bits, read.weights)

    def fitted(k):
        start = Model(sent[:k], np.full(k, 1 / k), np.full((6, 2), 0.1), REGIMES, 0.05)
        found = fit(rows, start, Prior(30.0), 12)
        return found.take(found.by_weight)

    path = [fitted(k) if k in sizes else None for k in range(1, tried + 1)]
    complete = fitted(most)
    posterior, gap = gap_posterior(rows, path, complete)
    np.testing.assert_allclose(posterior, slow_gap_posterior(rows, path, complete), rtol=1e-6, atol=1e-12)
    assert np.count_nonzero(posterior > 1e-5) > 1
    assert len(gap) == tried


def test_the_average_maximises_the_expected_fidelity():
    rng = np.random.default_rng(4)
    strings = index_bits(np.arange(4), 2)
    models = [
        Model(strings[chosen], rng.dirichlet(np.ones(len(chosen))), np.full((2, 2), 0.1), REGIMES, 0.0)
        for chosen in ([0, 1], [1, 2, 3], [0])
    ]
    posterior = np.array([0.5, 0.3, 0.2])
    bits, weights = average(models, posterior)
    ours = np.zeros(4)
    ours[bits @ np.array([1, 2])] = weights

    def expected_fidelity(p):
        total = 0.0
        for model, share in zip(models, posterior, strict=True):
            theirs = np.zeros(4)
            theirs[model.centroids @ np.array([1, 2])] = model.weights
            total += share * np.sqrt(p * theirs).sum() ** 2
        return total

    tried = [expected_fidelity(p) for p in rng.dirichlet(np.full(4, 0.5), 20_000)]
    assert expected_fidelity(ours) > max(tried) - 1e-4
    assert (np.diff(weights) <= 1e-9).all()


@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_the_number_of_strings_is_found_under_even_flips(k):
    right = 0
    for seed in range(5):
        rng = np.random.default_rng([seed, k])
        sent = index_bits(rng.choice(256, k, replace=False), 8)
        read = flipped(sent, np.full(k, 1 / k), 8192, 0.06, 0.06, seed)
        found = fit_mixture(read.bits, read.weights)
        right += int((found.weights > 0.5 / k).sum()) == k
    assert right >= 4


def test_rates_that_differ_are_not_simple():
    """If separate rates shorten the description, the evidence at one rate must not decide."""
    simple = []
    for down in (0.08, 0.4):
        read = flipped(np.ones((1, 7), dtype=bool), np.ones(1), 8192, 0.08, np.linspace(0.08, down, 7), 2)
        simple.append(fit_mixture(read.bits, read.weights).simple)
    assert simple == [True, False]


def test_em_with_the_right_number_is_the_best_of_its_size():
    sent = index_bits(np.array([3, 60]), 6)
    read = flipped(sent, np.array([0.7, 0.3]), 4000, 0.05, 0.05, 1)
    rows, levels = lay_out(read.bits, read.weights), []
    for first in range(0, 64, 9):
        for second in range(first + 1, 64, 9):
            centroids = index_bits(np.array([first, second]), 6)
            start = Model(centroids, np.full(2, 0.5), np.full((6, 2), 0.06), REGIMES, 0.05)
            levels.append(fit(rows, start, Prior(30.0), 10).log_likelihood)
    found = fit_mixture(read.bits, read.weights)
    assert found.log_likelihood > max(levels) - 1e-6 * abs(max(levels))


def test_no_mixture_is_refitted_twice(monkeypatch):
    """The complete mixture is one of the path, its strings in another order, unless local search has moved it."""
    refitted = []

    def counted(rows, models, prior, rounds):
        refitted.append(sorted((len(model.weights), model.log_likelihood) for model in models))
        return fit_all(rows, models, prior, rounds)

    monkeypatch.setattr(model_selection, "fit_all", counted)
    read = flipped(np.array([[False] * 8, [True] * 8]), np.full(2, 0.5), 4096, 0.02, 0.05, 1)
    assert not fit_mixture(read.bits, read.weights).simple
    assert len(set(refitted[-1])) == len(refitted[-1])
