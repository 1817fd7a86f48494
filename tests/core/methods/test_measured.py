"""Which of two noises a Run with a reference is mitigated under: the measured flips, or the faults of its circuit."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from qcluster.core.counts.bits import index_bits, pack
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.circuit_candidates import gather
from qcluster.core.decision.circuit_decide import decide_circuit
from qcluster.core.estimators.measured import mitigate_measured, outdone
from qcluster.core.methods.measured import mitigate, mitigate_by_default
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.measured import MeasuredNoise
from tests.core.decision.test_circuit import chain
from tests.core.estimators.test_measured import flips, ghz, masks, measured


def broad(n: int) -> Distribution:
    return Distribution(index_bits(np.arange(1 << n), n), np.random.default_rng(0).dirichlet(np.full(1 << n, 0.5)))


def brings(faults, kind):
    assert kind == "faults"
    return faults


@pytest.mark.parametrize("faults", [None, chain(6, 0.02, 0.03)])
def test_few_strings_are_read_under_the_measured_flips(faults):
    counts, noise = measured(ghz(6))
    answer = mitigate_by_default(counts, noise, True, None, partial(brings, faults))
    assert answer.method == "measured"
    assert answer == mitigate(counts, noise, True, None) == mitigate_measured(counts, noise)


def test_broad_outputs_are_read_under_the_faults_of_the_circuit_where_they_are_known(monkeypatch):
    counts, noise = measured(broad(5), total=0.4)
    faults = chain(5, 0.02, 0.03)
    monkeypatch.setattr("qcluster.core.estimators.measured.variational", None)  # is not asked for an answer in vain
    learned = mitigate_by_default(counts, noise, True, None, partial(brings, faults))
    assert learned == decide_circuit(counts, faults)
    assert learned.method == "circuit"
    monkeypatch.undo()
    assert mitigate_by_default(counts, noise, True, None, partial(brings, None)).method == "measured"


def one_string_beside_another_circuit(n, seed):
    """One string, and a reference with other faults that kept a tenth of its shots: many strings explain the counts
    under its flips. Returns the string, the answer under these, and that of a run with its circuit."""
    rng = np.random.default_rng([n, seed])
    (patterns, rates), (others, other_rates) = (masks(n, 2.5, rng) for _ in range(2))
    sent = rng.random(n) < 0.5
    counts = Distribution(flips(4096, patterns, rates, rng) ^ sent, np.ones(4096))
    noise = MeasuredNoise(Distribution(flips(4096, others, other_rates, rng) ^ sent, np.ones(4096)), sent)
    faults = FaultMasks(n, pack(patterns), rates, np.zeros(len(rates)), np.zeros((n, 2)))
    learned = mitigate_by_default(counts, noise, True, None, partial(brings, faults))
    return sent, mitigate(counts, noise, True, None), learned


@pytest.mark.parametrize(("n", "seed"), [(6, 1), (6, 5), (18, 1), (24, 0)])
def test_strings_that_the_faults_of_the_circuit_explain_better_are_not_read_under_the_measured_flips(n, seed):
    sent, measured_alone, fixed = one_string_beside_another_circuit(n, seed)
    assert len(measured_alone.weights) > 1
    assert (fixed.method, fixed.centroids.tolist()) == ("circuit", [sent.tolist()])


@pytest.mark.parametrize(("n", "seed"), [(6, 1), (6, 5), (18, 1), (24, 0)])
def test_such_strings_are_nearly_all_of_the_answer(n, seed):
    _, _, fixed = one_string_beside_another_circuit(n, seed)
    assert fixed.distribution.probabilities.max() > 0.99


def test_only_other_and_no_more_strings_of_better_likelihood_outdo_those_under_the_measured_flips():
    counts, noise = measured(ghz(6))
    few = gather(counts, chain(6, 0.02, 0.03)).few
    better = replace(few, words=few.words ^ np.uint64(1), net_log_likelihood=few.net_log_likelihood + 1e-3)
    assert outdone(few, better, counts, noise)
    assert not outdone(few, replace(better, words=few.words[::-1]), counts, noise), "the same strings"
    assert not outdone(few, replace(better, length=few.length + 0.1), counts, noise), "more strings"
    assert not outdone(few, replace(better, net_log_likelihood=few.net_log_likelihood), counts, noise), "no better"
