"""Computations in lockstep: one answers as many do, and what is alike is worked out at once."""

import numpy as np
import pytest

from qcluster.core.counts.bits import index_bits
from qcluster.core.dense.bitflips import deconvolve_steps
from qcluster.core.lockstep import Request, run_all, run_one
from qcluster.core.noise.prior import REGIMES
from qcluster.core.sparse.em import fit_all
from qcluster.core.sparse.forward_selection import forward_selection
from qcluster.core.sparse.model import WIDEST_WHOLE_REGISTER, Model, Prior, lay_out
from tests.core.sparse.test_fit import flipped, model_of


def doubled(asked):
    _, seen = asked[0]
    seen.append(sorted(x for x, _ in asked))
    return [2 * x for x, _ in asked]


def steps(x, many, seen):
    for _ in range(many):
        x = yield Request(doubled, x % 2, (x, seen))
    return x


def test_results_are_in_order_and_requests_of_one_key_are_answered_at_once():
    seen = []
    assert run_all([steps(x, many, seen) for x, many in ((1, 2), (5, 0), (3, 1), (4, 2))]) == [4, 5, 6, 16]
    assert seen == [[1, 3], [2, 4], [8]]
    assert run_all([]) == []


def test_an_error_in_one_is_raised():
    def wrong():
        yield Request(doubled, 1, (1, []))
        raise ValueError("must not be")

    with pytest.raises(ValueError, match="must not be"):
        run_all([steps(1, 2, []), wrong()])


def sets(n: int, many: int) -> list:
    """Counts of one to three strings, with rates of their own."""
    found = []
    for seed in range(many):
        rng = np.random.default_rng([n, seed])
        sent = index_bits(rng.choice(1 << n, 1 + seed % 3, replace=False), n)
        read = flipped(sent, np.full(len(sent), 1 / len(sent)), 1500, *rng.uniform(0.02, 0.2, 2), seed)
        found.append(lay_out(read.bits, read.weights))
    return found


def same(one: Model, other: Model) -> None:
    assert (one.centroids == other.centroids).all()
    for name in ("weights", "odds", "regimes", "background", "log_likelihood", "total", "likelihoods"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("n", [4, WIDEST_WHOLE_REGISTER, WIDEST_WHOLE_REGISTER + 1])
def test_em_of_many_sets_is_that_of_each(n):
    """With priors, rounds and held weights of their own; wider than a small register, nothing is shared."""
    asked = []
    for i, rows in enumerate(sets(n, 6)):
        prior = Prior(5.0 + i, None if i % 2 else np.full((n, 2), 0.1), hold_weights=i == 2)
        asked.append((rows, [model_of(n, k, k) for k in (1, 3)], prior, 3 + i))
    for one, many in zip(asked, run_all([fit_all(*one) for one in asked]), strict=True):
        for model, other in zip(many, run_one(fit_all(*one)), strict=True):
            same(model, other)


@pytest.mark.parametrize("n", [3, 6, WIDEST_WHOLE_REGISTER + 1])
def test_selection_of_many_sets_is_that_of_each(n):
    asked = [(rows, 6) for rows in sets(n, 7)]
    selections = run_all([forward_selection(*one) for one in asked])
    for one, many in zip(asked, selections, strict=True):
        single = run_one(forward_selection(*one))
        assert (many.dense, len(many.models), len(many.prefixes)) == (
            single.dense,
            len(single.models),
            len(single.prefixes),
        )
        assert many.gap == pytest.approx(single.gap, rel=1e-9)
        for model, other in zip(many.models + many.prefixes, single.models + single.prefixes, strict=True):
            same(model, other)


@pytest.mark.parametrize("n", [3, WIDEST_WHOLE_REGISTER])
def test_deconvolutions_together_are_those_alone(n):
    rng = np.random.default_rng(n)
    asked = []
    for many in (2, 3, 1):
        counts = rng.multinomial(1000 * many, rng.dirichlet(np.ones(1 << n))).astype(float)
        asked.append((counts, rng.uniform(0.01, 0.2, (many, n, 2)), rng.uniform(0.1, 1, many), 12))
    for one, found in zip(asked, run_all([deconvolve_steps(*one) for one in asked]), strict=True):
        single = run_one(deconvolve_steps(*one))
        for name in ("roots", "evidence", "background", "shapes"):
            np.testing.assert_allclose(getattr(found, name), getattr(single, name), rtol=1e-10, atol=1e-13)


def test_a_small_register_is_laid_out_whole():
    bits = index_bits(np.array([6, 1, 3]), 3)
    rows = lay_out(bits, np.array([5.0, 9.0, 5.0]))
    assert rows.weights.tolist() == [0, 9, 0, 5, 0, 0, 5, 0]
    assert rows.seen.tolist() == [1, 3, 6]
    assert (rows.shots, len(rows.bits)) == (19, 8)
    model = Model(bits[:1], np.ones(1), np.full((3, 2), 0.1), REGIMES, 0.1)
    assert float((run_one(fit_all(rows, [model], Prior(30.0), 5))[0].total).sum()) == pytest.approx(8)
