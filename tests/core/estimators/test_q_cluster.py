import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import qcluster as qc
from qcluster.core.counts.distribution import Distribution
from qcluster.core.estimators.q_cluster import PaperSettings, q_cluster
from qcluster.core.noise.bitflips import as_rates
from tests import oracle
from tests.strategies import counts, flip_rates, untied


def mitigated(given_counts, rates):
    return qc.mitigate(given_counts, rates, method="paper").distribution


@given(counts(), flip_rates)
def test_it_agrees_with_the_slow_version(given_counts, rate):
    wanted = oracle.q_cluster(given_counts, rate)
    found = mitigated(given_counts, rate).to_probs()
    assert all(found.get(s, 0.0) == pytest.approx(w, abs=1e-9) for s, w in wanted.items())
    assert sum(found.values()) == pytest.approx(1)


@given(counts(), flip_rates)
def test_the_number_of_shots_is_kept(given_counts, rate):
    assert mitigated(given_counts, rate).shots == sum(given_counts.values())


@given(counts(), st.randoms(use_true_random=False), flip_rates)
def test_the_order_of_rows_does_not_matter(given_counts, random, rate):
    rows = list(given_counts.items())
    random.shuffle(rows)
    assert mitigated(dict(rows), rate) == mitigated(given_counts, rate)


@given(counts(min_bits=2), st.integers(0, 99), st.booleans(), st.data())
def test_relabelling_bits_relabels_the_answer(given_counts, seed, uneven, data):
    held = Distribution.of(given_counts)
    assume(untied(held))
    rates = np.array(data.draw(st.lists(flip_rates, min_size=held.n_bits, max_size=held.n_bits)))
    rates = rates if uneven else np.full(held.n_bits, rates[0])
    order = np.random.default_rng(seed).permutation(held.n_bits)
    first = mitigated(held, rates).marginal(order.tolist())
    second = mitigated(held.marginal(order.tolist()), rates[order])
    assert first.to_probs() == pytest.approx(second.to_probs(), abs=1e-9)


@given(st.integers(1, 40).flatmap(lambda n: st.text("01", min_size=n, max_size=n)), st.integers(1, 10**6), flip_rates)
def test_a_single_string_is_unchanged(string, shots, rate):
    assert mitigated({string: shots}, rate).to_counts() == {string: shots}


@given(counts())
def test_rate_zero_leaves_counts_unchanged(given_counts):
    assert mitigated(given_counts, 0.0).to_counts() == dict(sorted(given_counts.items()))
    assert mitigated(given_counts, 0.0).to_probs() == pytest.approx(Distribution.of(given_counts).to_probs())


@given(counts(), flip_rates)
def test_equal_rates_in_any_shape_agree_exactly(given_counts, rate):
    n_bits = len(next(iter(given_counts)))
    wanted = mitigated(given_counts, rate)
    assert mitigated(given_counts, np.full(n_bits, rate)) == wanted
    assert mitigated(given_counts, np.full((n_bits, 2), rate)) == wanted


def test_a_known_case_by_hand():
    """One centroid at 00, R = 2*2*.1*.9 = .36: only 00 itself is inside, and takes .09 of .8 from each neighbour."""
    fixed = qc.mitigate({"00": 80, "01": 10, "10": 8, "11": 2}, 0.1, method="paper")
    left = {"00": 0.8, "01": 0.1 - 0.8 * 0.09, "10": 0.08 - 0.8 * 0.09, "11": 0.02 - 0.8 * 0.01}
    total = sum(left.values())
    probs = fixed.distribution.to_probs()
    assert {s: probs.get(s, 0.0) for s in left} == pytest.approx({s: w / total for s, w in left.items()})


def test_the_answer_does_not_depend_on_the_hash_seed():
    code = (
        "import numpy as np, qcluster as qc; rng = np.random.default_rng(3)\n"
        "counts = {format(v, '08b'): int(c) for v, c in zip(rng.permutation(256)[:120], rng.integers(1, 6, 120))}\n"
        "print(sorted(qc.mitigate(counts, .12, method='paper').distribution.to_probs().items()))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(said) == 1


def test_settings_change_the_answer_and_are_checked():
    given_counts = {"000": 50, "011": 25, "101": 20, "110": 20, "111": 30}
    few = q_cluster(Distribution.of(given_counts), as_rates(0.1, 3), PaperSettings(max_clusters=1))[1]
    many = q_cluster(Distribution.of(given_counts), as_rates(0.1, 3), PaperSettings(tol=1.0))[1]
    assert len(few.weights) == 1 < len(many.weights)
    for wrong in ({"mul": 0}, {"tol": 0}, {"tol": 1.1}, {"max_clusters": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            PaperSettings(**wrong)


def test_asymmetric_rates_attribute_decay_to_the_ones():
    """By hand, as above: 11 holds .64, R = .36, and takes .16 from its neighbours, .04 from 00."""
    probs = mitigated({"11": 64, "01": 16, "10": 16, "00": 4}, [[0.0, 0.2], [0.0, 0.2]]).to_probs()
    left = {"11": 0.64, "01": 0.16 - 0.64 * 0.16, "10": 0.16 - 0.64 * 0.16, "00": 0.04 - 0.64 * 0.04}
    assert probs == pytest.approx({s: w / sum(left.values()) for s, w in left.items()})


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ("cat_state_n22", 0.31),
        ("bv_n14", 0.19),
        ("ghz_state_n11", 0.70),
        ("bv_n19", 0.13),
        ("wstate_n27", 0.04),
        ("wstate_n3", 0.89),
    ],
)
def test_real_records_reach_the_published_method(brussels, record, wanted):
    (row,) = [row for row in brussels if row["id"].endswith(record)]
    fixed = mitigated(row["counts"], row["effective_rate"])
    assert qc.metrics.hellinger_fidelity(fixed, row["ideal"]) == pytest.approx(wanted, abs=0.006)
