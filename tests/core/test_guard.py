"""The guard: what it must leave alone, what it must improve, and its laws."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcluster.core.distribution import Distribution
from qcluster.core.guard import combine
from qcluster.core.metrics import hellinger_fidelity
from qcluster.core.product import beyond_product, product_evidence, single_string
from qcluster.core.verdict import Guarded, GuardSettings
from tests.core.oracle_deconvolve import dense_channel
from tests.strategies import counts as some_counts


def spread(vector: Any, n: int) -> Distribution:
    vector = np.asarray(vector, dtype=float)
    held = np.flatnonzero(vector)
    return Distribution((held[:, None] >> np.arange(n) & 1).astype(bool), vector[held])


def some_fit(d: Distribution, k: int = 1, *, flip: float = 0.1, **change: Any) -> Any:
    """A mixture of the k most frequent strings, as confident as told: the guard must cope with a wrong one."""
    top = np.argsort(-d.weights, kind="stable")[:k]
    uniform = -d.shots * d.n_bits * np.log(2)
    fields = {
        "centroids": d.bits[top],
        "weights": d.weights[top] / d.weights[top].sum(),
        "rates": np.full((d.n_bits, 2), flip),
        "background": 0.0,
        "log_likelihood": uniform,
        "agreement": 1.0,
        "excess": 100.0,
        "gap": 100.0,
        "flip_rate": flip,
        "perplexity": 1.0,
        "simple": False,
        "ring": False,
    }
    return SimpleNamespace(**{**fields, **change})


def answer_of(guarded: Guarded) -> Distribution:
    return Distribution(guarded.bits, guarded.weights)


def sample(ideal: np.ndarray, rates: np.ndarray, shots: int, rng: np.random.Generator) -> Distribution:
    return spread(rng.multinomial(shots, dense_channel(rates) @ ideal), len(rates))


@given(some_counts(max_bits=6), st.integers(1, 4), st.floats(0.01, 0.45))
def test_shots_are_kept_and_figures_are_shares(counts: dict[str, int], k: int, flip: float) -> None:
    d = Distribution.of(counts)
    found = combine(d, some_fit(d, k, flip=flip))
    assert found.weights.sum() == pytest.approx(d.shots)
    assert 0 <= found.share <= 1
    assert 0 <= found.confidence <= 1
    assert found.reason
    if not found.applied:
        assert found.bits is d.bits
        assert found.weights is d.weights


@given(some_counts(min_bits=2, max_bits=6), st.randoms(use_true_random=False))
def test_relabelling_qubits_relabels_the_answer(counts: dict[str, int], random: Any) -> None:
    d = Distribution.of(counts)
    order = list(range(d.n_bits))
    random.shuffle(order)
    fit = some_fit(d, 2)
    moved = SimpleNamespace(**{**vars(fit), "centroids": fit.centroids[:, order], "rates": fit.rates[order]})
    here, there = combine(d, fit), combine(d.marginal(order), moved)
    assert there.applied == here.applied
    assert there.reason == here.reason
    assert hellinger_fidelity(answer_of(here).marginal(order), answer_of(there)) > 1 - 1e-6


def test_the_same_counts_give_the_same_answer() -> None:
    d = Distribution.of({"0000": 300, "0001": 40, "1111": 280, "1110": 33, "0110": 9})
    first, second = (combine(d, some_fit(d, 2)) for _ in range(2))
    np.testing.assert_array_equal(first.weights, second.weights)


@pytest.mark.parametrize("kind", ["uniform", "porter-thomas", "decayed"])
def test_noise_is_hardly_ever_harmed(kind: str) -> None:
    losses: dict[int, list[float]] = {4: [], 5: [], 6: [], 8: []}
    for n in losses:
        for shots in (1024, 8192):
            for seed in range(4):
                rng = np.random.default_rng([n, shots, seed])
                ideal = np.full(1 << n, 0.5**n) if kind != "porter-thomas" else rng.dirichlet(np.ones(1 << n))
                rates = np.full((n, 2), 0.02)
                if kind == "decayed":
                    rates[:, 1] = rng.uniform(0.1, 0.4, n)
                d = sample(ideal, rates, shots, rng)
                zeros = some_fit(d, 1, centroids=np.zeros((1, n), bool), rates=np.full((n, 2), 0.4))
                fit = zeros if kind == "decayed" else some_fit(d, 2, agreement=0.5)
                answer = answer_of(combine(d, fit))
                losses[n].append(hellinger_fidelity(d, spread(ideal, n)) - hellinger_fidelity(answer, spread(ideal, n)))
    assert sum(loss > 0.02 for n in (5, 6, 8) for loss in losses[n]) == 0
    assert max(losses[4]) < 0.06  # sixteen outcomes cannot tell Porter-Thomas from few strings on a flat floor


@pytest.mark.parametrize(
    "counts", [{"00000": 500, "11111": 500}, {"0110": 4000}, {"000": 3000, "111": 5000, "010": 1000}]
)
def test_a_noiseless_output_stays_as_it_is(counts: dict[str, int]) -> None:
    d = Distribution.of(counts)
    fit = some_fit(d, d.n_outcomes, flip=0.001, log_likelihood=float(d.weights @ np.log(d.probabilities)))
    assert hellinger_fidelity(answer_of(combine(d, fit)), counts) > 0.995


@pytest.mark.parametrize("flip", [0.05, 0.1, 0.2])
def test_few_strings_are_restored_even_when_the_mixture_is_no_help(flip: float) -> None:
    rng = np.random.default_rng(3)
    n = 7
    ideal = np.zeros(1 << n)
    ideal[[3, 60, 101]] = 0.5, 0.3, 0.2
    d = sample(ideal, np.full((n, 2), flip), 8192, rng)
    raw = hellinger_fidelity(d, spread(ideal, n))
    found = combine(d, some_fit(d, 1, flip=0.4, agreement=0.1))
    assert found.applied
    assert found.confidence > 0.8
    assert hellinger_fidelity(answer_of(found), spread(ideal, n)) > raw + 0.5 * (1 - raw)


def test_a_good_mixture_is_followed() -> None:
    rng = np.random.default_rng(4)
    n = 8
    ideal = np.zeros(1 << n)
    ideal[[0, 255]] = 0.5
    rates = np.full((n, 2), 0.15)
    d = sample(ideal, rates, 8192, rng)
    likelihood = float(d.weights @ np.log((dense_channel(rates) @ ideal)[d.bits @ (1 << np.arange(n))]))
    centroids = np.array([[False] * n, [True] * n])
    fit = some_fit(d, 2, flip=0.15, log_likelihood=likelihood, centroids=centroids, weights=np.array([0.5, 0.5]))
    found = combine(d, fit)
    assert "2 strings" in found.reason
    assert hellinger_fidelity(answer_of(found), spread(ideal, n)) > 0.98


def test_wide_registers_follow_a_credible_mixture_and_leave_noise_alone() -> None:
    bits = np.eye(20, dtype=bool)
    d = Distribution(np.vstack([bits, np.ones((1, 20), bool), np.zeros((1, 20), bool)]), np.r_[np.ones(20), 90.0, 90.0])
    centroids = np.array([[True] * 20, [False] * 20])
    fit = some_fit(d, 2, centroids=centroids, weights=np.array([0.5, 0.5]))
    assert combine(d, fit).share > 0.9
    noise = Distribution(np.random.default_rng(0).random((300, 20)) < 0.5, np.ones(300))
    left = combine(noise, some_fit(noise, 2, agreement=0.3))
    assert not left.applied
    assert left.weights is noise.weights


def test_known_rates_steer_the_deconvolution() -> None:
    rng = np.random.default_rng(8)
    n = 5
    d = sample(rng.dirichlet(np.full(1 << n, 0.3)), np.full((n, 2), 0.1), 1500, rng)
    fit = some_fit(d, 1, agreement=0.1)
    distance = [hellinger_fidelity(d, answer_of(combine(d, fit, rates=rate))) for rate in (0.005, 0.1, 0.3)]
    assert distance[0] > distance[1] > distance[2]


@pytest.mark.parametrize("seed", range(8))
def test_known_low_rates_protect_a_dense_output_of_four_bits(seed: int) -> None:
    rng = np.random.default_rng([4, 8192, seed])
    ideal = rng.dirichlet(np.ones(16))
    d = sample(ideal, np.full((4, 2), 0.02), 8192, rng)
    answer = answer_of(combine(d, some_fit(d, 2, agreement=0.5), rates=0.02))
    assert hellinger_fidelity(answer, spread(ideal, 4)) > hellinger_fidelity(d, spread(ideal, 4)) - 0.02


def test_rates_are_checked() -> None:
    d = Distribution.of({"00": 50, "11": 50})
    with pytest.raises(ValueError, match="rates"):
        combine(d, some_fit(d), rates=0.7)


def test_probabilities_are_called_that_and_few_shots_few() -> None:
    for counts, said in (({"0": 0.5, "1": 0.5}, "probabilities"), ({"0": 1}, "1 shots"), ({"0": 2, "1": 1}, "3 shots")):
        d = Distribution.of(counts)
        answer = combine(d, some_fit(d, 1))
        assert said in answer.reason
        assert answer.bits is d.bits


def test_no_shots_no_answer() -> None:
    d = Distribution(np.zeros((0, 3), bool), np.zeros(0))
    assert not combine(d, SimpleNamespace()).applied


@pytest.mark.parametrize("flips", [(0.11,), (0.0, 0.11)])
def test_few_flip_rates_may_be_tried(flips: tuple[float, ...]) -> None:
    d = Distribution.of({"0000": 300, "0001": 40, "1111": 280, "1110": 33, "0110": 9})
    answer = combine(d, some_fit(d, 2), settings=GuardSettings(flips=flips))
    assert np.isfinite(answer.weights).all()
    assert answer.weights.sum() == pytest.approx(d.shots)
    assert hellinger_fidelity(answer_of(answer), {"0000": 0.5, "1111": 0.5}) > 0.9


def test_settings_reach_the_answer() -> None:
    d = Distribution.of({"0000": 300, "0001": 40, "1111": 280, "1110": 33, "0110": 9})
    shares = [combine(d, some_fit(d, 2), settings=GuardSettings(insured=x)).share for x in (0.0, 0.5)]
    assert shares[0] > shares[1]


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_product_evidence_is_the_integral(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    d = spread(rng.multinomial(40, np.full(1 << n, 0.5**n)), n)
    grid = (np.arange(4000) + 0.5) / 4000
    total = 0.0
    for bit in range(n):
        ones = float(d.weights @ d.bits[:, bit])
        total += np.log(np.mean(grid**ones * (1 - grid) ** (d.shots - ones)))
    assert product_evidence(d.bits, d.weights).evidence == pytest.approx(total, rel=1e-4)


def test_even_flips_are_a_string_and_wild_ones_are_not() -> None:
    rng = np.random.default_rng(2)
    n, string = 10, np.arange(10) % 2 == 0
    even = rng.random((5000, n)) < 0.25
    wild = rng.random((5000, n)) < rng.uniform(0.02, 0.5, n)
    found = [single_string(flips ^ string, np.ones(5000)) for flips in (even, wild)]
    assert found[0][0].tolist() == string.tolist()
    assert found[0][1] > 2
    assert found[1][1] < 0


@pytest.mark.parametrize("shots", [1.0, 2.0**53, 9e18])
def test_a_single_string_of_any_number_of_shots_has_odds(shots):
    assert np.isfinite(single_string(np.array([[True, False]]), np.array([shots]))[1])


def test_the_string_is_found_where_most_shots_have_lost_a_one() -> None:
    right = 0
    for seed in range(20):
        rng = np.random.default_rng([9, seed])
        string = rng.random(9) < 0.5
        decay = rng.uniform(0.05, 0.55, 9)
        shots = np.where(string, rng.random((10240, 9)) > decay, rng.random((10240, 9)) < 0.05)
        d = Distribution(shots, np.ones(10240))
        found = combine(d, some_fit(d, 1))
        right += np.array_equal(found.bits[np.argmax(found.weights)], string)
    assert right >= 18


@pytest.mark.parametrize("drift", [0.0, 0.03])
def test_structure_beyond_a_product_is_measured_in_standard_deviations(drift: float) -> None:
    rng = np.random.default_rng(5)
    product = np.ones(1)
    for one in rng.uniform(0.2, 0.8, 7):
        product = np.kron(product, [1 - one, one])
    scores = []
    for _ in range(200):
        spoiled = product * rng.gamma(1 / drift, drift, 128) if drift else product
        scores.append(beyond_product(rng.multinomial(4000, spoiled / spoiled.sum()).astype(float), drift))
    assert abs(np.mean(scores)) < 0.5
    assert 0.7 < np.std(scores) < 1.5
    assert beyond_product(4000 * (0.8 * product + 0.2 * np.eye(128)[5]), drift) > 5
