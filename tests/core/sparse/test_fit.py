import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qcluster as qc
from qcluster.core.counts.bits import format_bitstrings, index_bits
from qcluster.core.noise.prior import REGIMES, TILTS
from qcluster.core.sparse.fit import _agreement, fit_mixture
from qcluster.core.sparse.model import Model, Prior, lay_out
from tests.conftest import read_records
from tests.core.sparse.at_once import fit
from tests.strategies import counts


def model_of(n_bits: int, k: int, seed: int) -> Model:
    rng = np.random.default_rng(seed)
    centroids = np.unique(rng.random((k, n_bits)) < 0.5, axis=0)
    weights = rng.dirichlet(np.ones(len(centroids)))
    return Model(centroids, weights, rng.uniform(0.01, 0.4, (n_bits, 2)), REGIMES / REGIMES.sum(), 0.1)


def slow_log_likelihood(bits, weights, model: Model) -> float:
    """The formula of the model, with loops."""
    total, n = 0.0, bits.shape[1]
    for row, count in zip(bits, weights, strict=True):
        p = model.background * 2.0**-n
        for centroid, weight in zip(model.centroids, model.weights, strict=True):
            for tilt, share in zip(TILTS, model.regimes, strict=True):
                chance = 1.0
                for i in range(n):
                    odds = model.odds[i, int(centroid[i])] * tilt
                    flip = odds / (1 + odds)
                    chance *= flip if row[i] != centroid[i] else 1 - flip
                p += (1 - model.background) * weight * share * chance
        total += count * np.log(p)
    return float(total)


def flipped(centroids, weights, shots, up, down, seed):
    rng = np.random.default_rng(seed)
    sent = centroids[rng.choice(len(centroids), shots, p=weights)]
    rate = np.where(sent, down, up)
    return qc.Distribution(sent ^ (rng.random(sent.shape) < rate), np.ones(shots))


@settings(max_examples=25)
@given(counts(max_bits=6, max_strings=12), st.integers(1, 4), st.integers(0, 99))
def test_the_likelihood_is_that_of_the_formula(given_counts, k, seed):
    held = qc.Distribution.of(given_counts)
    model = model_of(held.n_bits, k, seed)
    found = fit(lay_out(held.bits, held.weights), model, Prior(1.0), 0).log_likelihood
    assert found == pytest.approx(slow_log_likelihood(held.bits, held.weights, model), rel=1e-4)


@pytest.mark.parametrize("n_bits", [100, 101, 300, 896])
def test_the_likelihood_of_wide_registers_is_that_of_the_formula(n_bits):
    model = model_of(n_bits, 2, 0)
    near = flipped(model.centroids, np.full(2, 0.5), 20, 0.1, 0.1, 1)
    bits = np.vstack([near.bits, np.random.default_rng(2).random((20, n_bits)) < 0.5])
    found = fit(lay_out(bits, np.ones(40)), model, Prior(1.0), 0).log_likelihood
    assert found == pytest.approx(slow_log_likelihood(bits, np.ones(40), model), rel=1e-5)


@pytest.mark.parametrize(("n_bits", "rate"), [(156, 0.12), (300, 0.06), (600, 0.04)])
def test_strings_are_told_from_uniform_noise_on_wide_registers(n_bits, rate):
    """With so many flips, what is read is less probable than 2^-100, but far more so than under uniform noise."""
    strings = np.random.default_rng(3).random((2, n_bits)) < 0.5
    raw = flipped(strings, np.full(2, 0.5), 1000, rate, rate, 4)
    found = fit_mixture(raw.bits, raw.weights)
    assert set(format_bitstrings(found.centroids)) == set(format_bitstrings(strings))
    assert found.background < 0.01


@settings(max_examples=25)
@given(counts(min_bits=2, max_bits=8), st.integers(1, 4), st.integers(0, 99))
def test_em_raises_the_likelihood(given_counts, k, seed):
    held = qc.Distribution.of(given_counts)
    rows, model = lay_out(held.bits, held.weights), model_of(held.n_bits, k, seed)
    start, end = (fit(rows, model, Prior(1e-6), rounds).log_likelihood for rounds in (0, 20))
    assert end > start - 1e-4 * abs(start)


@pytest.mark.parametrize("n_bits", [1, 4, 30, 127])
def test_a_single_string_comes_back(n_bits):
    string = "01" * n_bits
    fixed = qc.mitigate({string[:n_bits]: 1000}, guard=False)
    assert fixed.distribution.to_counts() == {string[:n_bits]: 1000}


@pytest.mark.parametrize("seed", range(4))
def test_relabelling_bits_relabels_the_answer(seed):
    rng = np.random.default_rng(seed)
    centroids = np.unique(rng.random((3, 9)) < 0.5, axis=0)
    raw = flipped(centroids, np.full(len(centroids), 1 / len(centroids)), 4000, 0.06, 0.12, seed)
    order = rng.permutation(9).tolist()
    first = qc.mitigate(raw, guard=False).distribution.marginal(order)
    second = qc.mitigate(raw.marginal(order), guard=False).distribution
    assert qc.metrics.hellinger_fidelity(first, second) > 0.999


def test_relabelling_bits_of_strings_that_are_read_once_relabels_the_answer():
    rng = np.random.default_rng(0)
    centroids = rng.random((300, 64)) < 0.5
    raw = flipped(centroids, np.full(300, 1 / 300), 500, 0.06, 0.06, 0)
    order = rng.permutation(64).tolist()
    first = qc.mitigate(raw, guard=False).distribution.marginal(order)
    second = qc.mitigate(raw.marginal(order), guard=False).distribution
    assert qc.metrics.hellinger_fidelity(first, second) > 0.999


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.3])
def test_independent_flips_are_undone(rate):
    """The mixture finds the strings. Whether they become the answer is decided by the guard, and `expect` moves it."""
    bare, told, kept = [], [], []
    for seed in range(4):
        rng = np.random.default_rng([seed, 77])
        centroids = np.unique(rng.random((1 + 2 * seed, 10)) < 0.5, axis=0)
        share = np.full(len(centroids), 1 / len(centroids))
        raw, ideal = flipped(centroids, share, 16384, rate, rate, seed), qc.Distribution(centroids, share)
        for answers, options in ((bare, {"guard": False}), (told, {"expect": "sparse"}), (kept, {})):
            answers.append(qc.metrics.hellinger_fidelity(qc.mitigate(raw, **options).distribution, ideal))
        kept[-1] -= qc.metrics.hellinger_fidelity(raw, ideal)
    assert np.mean(bare) >= 0.99, bare
    assert np.mean(told) >= 0.9, told
    assert min(kept) > -0.01, kept


def test_decay_does_not_hide_the_string():
    """1 -> 0 rates up to .55: the most frequent string is often wrong, the likelihood is not."""
    right = frequent = 0
    for seed in range(10):
        rng = np.random.default_rng([seed, 5])
        string = rng.random((1, 9)) < 0.6
        down = rng.uniform(0.05, 0.55, 9)
        raw = flipped(string, np.ones(1), 10240, 0.05, down, seed)
        text = format_bitstrings(string)[0]
        right += next(iter(qc.mitigate(raw, guard=False).distribution.top(1))) == text
        frequent += next(iter(raw.top(1))) == text
    assert right >= 8
    assert right >= frequent


@pytest.mark.parametrize("n_bits", [5, 12])
@pytest.mark.parametrize(("up", "down", "wanted"), [(0.02, 0.02, 0.99), (0.03, 0.08, 0.92)])
def test_a_w_state_is_a_ring_not_its_centre(n_bits, up, down, wanted):
    """Where decay fills the centre, the centre keeps a share of a few percent: see docs/mixture.md."""
    centroids = np.eye(n_bits, dtype=bool)
    share = np.full(n_bits, 1 / n_bits)
    raw = flipped(centroids, share, 8192, up, down, n_bits)
    fixed = qc.mitigate(raw, guard=False)
    assert qc.metrics.hellinger_fidelity(fixed.distribution, qc.Distribution(centroids, share)) > wanted


def test_known_rates_may_be_given():
    raw = flipped(np.zeros((1, 6), dtype=bool), np.ones(1), 500, 0.1, 0.1, 1)
    found = fit_mixture(raw.bits, raw.weights, rates=np.full((6, 2), 0.1))
    assert format_bitstrings(found.centroids[:1]) == ["000000"]
    assert found.rates.mean() == pytest.approx(0.1, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ("cat_state_n22", 0.95),
        ("bv_n14", 0.97),
        ("ghz_state_n11", 0.97),
        ("bv_n19", 0.97),
        ("wstate_n27", 0.25),
        ("wstate_n3", 0.95),
    ],
)
def test_real_records_come_back(brussels, record, wanted):
    (row,) = [row for row in brussels if row["id"].endswith(record)]
    fixed = qc.mitigate(row["counts"])
    assert qc.metrics.hellinger_fidelity(fixed.distribution, row["ideal"]) >= wanted


def test_no_bit_is_turned_against_the_likelihood():
    """A repetition code that idled: correlated errors read some of its 0 bits as 1 nearly every other time."""
    rows = read_records("encoded_memory_dev.jsonl.gz")
    (row,) = [row for row in rows if row["id"] == "enc-cu99asg0uvgc-w15-d100"]
    counts = qc.Distribution.of(row["counts"])
    fit = fit_mixture(counts.bits, counts.weights)
    answer = qc.Distribution(fit.centroids, fit.weights)
    assert qc.metrics.hellinger_fidelity(answer, row["ideal"]) > 0.99


def test_arrays_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match=r"must be \(u, n\) and weights \(u,\)"):
        fit_mixture(np.zeros((2, 3), dtype=bool), np.ones(3))
    with pytest.raises(ValueError, match="needs shots"):
        fit_mixture(np.zeros((2, 3), dtype=bool), np.zeros(2))


@pytest.mark.parametrize("n_bits", [30, 45, 60])
def test_one_string_on_a_wide_register_is_no_ring(n_bits):
    rng = np.random.default_rng([n_bits, 1])
    string = rng.random(n_bits) < 0.5
    shots = string ^ (rng.random((5000, n_bits)) < rng.uniform(0.05, 0.15, n_bits))
    read = qc.Distribution(shots, np.ones(5000))
    found = fit_mixture(read.bits, read.weights)
    assert not found.ring
    assert found.centroids.tolist() == [string.tolist()]


@pytest.mark.parametrize("strings", [1, 2, 3, 4])
def test_few_strings_are_found_where_most_shots_are_flipped(strings):
    """At 40% flips the frequent strings are hardly ever those sent."""
    rng = np.random.default_rng([strings - 1, 77])
    sent = np.unique(rng.random((strings, 10)) < 0.5, axis=0)
    share = np.full(len(sent), 1 / len(sent))
    raw = flipped(sent, share, 16384, 0.4, 0.4, strings - 1)
    found = fit_mixture(raw.bits, raw.weights)
    answer = qc.Distribution(found.centroids, found.weights)
    assert qc.metrics.hellinger_fidelity(answer, qc.Distribution(sent, share)) > 0.98


@pytest.mark.parametrize("n_bits", [8, 10, 12])
def test_dense_counts_keep_their_most_frequent_strings(n_bits):
    """Few strings do not explain Porter-Thomas counts: the frequent ones are returned, and the gap is small."""
    rng = np.random.default_rng([n_bits, 1])
    ideal = rng.exponential(size=1 << n_bits)
    shots = rng.multinomial(4096, ideal / ideal.sum()).astype(float)
    bits = np.arange(1 << n_bits)[:, None] >> np.arange(n_bits) & 1 > 0
    found = fit_mixture(bits, shots)
    assert found.gap < 2.5
    assert len(found.weights) > 16
    kept = found.centroids @ (1 << np.arange(n_bits))
    assert (shots[kept] >= np.sort(shots)[-32]).all()


@pytest.mark.parametrize("n_bits", [3, 4, 5])
def test_a_ghz_state_of_a_small_machine_has_two_strings(n_bits):
    """Errors of the CX ladder flip all bits behind them, and decay flips 1 more often than 0."""
    sent = np.array([[False] * n_bits, [True] * n_bits])
    ideal, fidelities = qc.Distribution(sent, np.ones(2)), []
    for seed in range(10):
        rng = np.random.default_rng([n_bits, seed])
        read = sent[rng.integers(0, 2, 4096)].copy()
        for bit in range(1, n_bits):
            read[rng.random(4096) < 0.008, bit:] ^= True
        rates = rng.uniform(0.01, 0.04, n_bits)
        read ^= rng.random(read.shape) < np.where(read, rates + 0.02, rates)
        counts = qc.Distribution(read, np.ones(4096))
        found = fit_mixture(counts.bits, counts.weights)
        fidelities.append(qc.metrics.hellinger_fidelity(qc.Distribution(found.centroids, found.weights), ideal))
    assert np.mean(fidelities) > 0.985, fidelities


@pytest.mark.parametrize("seed", range(3))
def test_a_bit_read_at_random_takes_no_other_bits_with_it(seed):
    """If one bit reads as a coin toss, the answer is one string, or two that differ in that bit alone."""
    rng = np.random.default_rng([seed, 21])
    string = rng.random((1, 21)) < 0.5
    rates = rng.uniform(0.03, 0.1, 21)
    rates[9] = 0.5
    raw = flipped(string, np.ones(1), 4096, rates, rates, seed)
    found = fit_mixture(raw.bits, raw.weights)
    wrong = np.delete(found.centroids ^ string, 9, axis=1).any(axis=1)
    assert found.weights[~wrong].sum() > 0.99


def decayed_string(n_bits: int, seed: int) -> tuple[np.ndarray, qc.Distribution]:
    """One string whose ones mostly decay, some more often than not, among shots with many errors and with few."""
    rng = np.random.default_rng([seed, n_bits])
    string = rng.random(n_bits) < 0.5
    down = np.where(rng.random(n_bits) < 0.4, rng.uniform(0.52, 0.6, n_bits), rng.uniform(0.1, 0.4, n_bits))
    rate = np.where(string, down, 0.04) * np.exp(rng.normal(0, 0.3, (8192, 1)))
    return string, qc.Distribution(string ^ (rng.random((8192, n_bits)) < np.minimum(rate, 0.8)), np.ones(8192))


def test_bits_that_decay_more_often_than_not_are_turned():
    """The majority of each bit finds hardly any of these strings, and the likelihood alone about half of them."""
    right = majority = 0
    for n_bits in (12, 19):
        for seed in range(8):
            string, read = decayed_string(n_bits, seed)
            right += bool((fit_mixture(read.bits, read.weights).centroids[0] == string).all())
            majority += bool(((read.weights @ read.bits > read.shots / 2) == string).all())
    assert right >= 12
    assert majority <= 2


@given(st.integers(1, 7), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_agreement_is_the_cosine_of_the_two_vectors(n_bits, k, seed):
    """Over all strings, one by one, uniform noise taken off both."""
    rng = np.random.default_rng(seed)
    every = index_bits(np.arange(1 << n_bits), n_bits)
    rows = lay_out(every, rng.multinomial(5000, rng.dirichlet(np.ones(1 << n_bits))) + 1.0)
    model = fit(rows, model_of(n_bits, k, seed), Prior(30.0), 0)
    predicted = model.total.astype(np.float64) / 2**n_bits
    measured, uniform = rows.weights / rows.shots, 0.5**n_bits
    own = predicted @ predicted - uniform
    beyond = rows.weights @ (rows.weights - 1) / (rows.shots * (rows.shots - 1)) - uniform
    if beyond > 0 and own > 1e-4 * uniform:
        wanted = (measured @ predicted - uniform) / np.sqrt(beyond * own)
        assert _agreement(rows, model)[0] == pytest.approx(wanted, rel=1e-3, abs=1e-3)
