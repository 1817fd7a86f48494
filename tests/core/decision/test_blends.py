"""Answers redrawn from the counts themselves, and what the gate sees of a circuit under other names of its qubits."""

import numpy as np
import pytest

from qcluster.core.counts.bits import pack, unpack
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.circuit_blend import CircuitBlend
from qcluster.core.decision.circuit_candidates import gather
from qcluster.core.decision.circuit_features import features
from qcluster.core.decision.decide import decide
from qcluster.core.noise.faults import FaultMasks
from tests.core.decision.test_circuit import chain, sampled
from tests.core.sparse.test_fit import flipped


@pytest.mark.parametrize("n_bits", [6, 16])
def test_counts_that_are_drawn_again_as_they_are_give_the_answer_again(n_bits):
    sent = np.random.default_rng(n_bits).random((2, n_bits)) < 0.5
    read = flipped(sent, np.array([0.7, 0.3]), 4000, 0.03, 0.08, 1)
    decided = decide(read)
    assert decided.blend is not None
    roots = decided.blend.roots(np.tile(read.weights, (9, 1)), (np.arange(9) + 0.5) / 9)
    np.testing.assert_allclose((roots**2).sum(axis=1), 1)
    again = Distribution.from_words(decided.blend.words, (roots**2).mean(axis=0), n_bits).to_probs()
    wanted = decided.answer.distribution.to_probs()
    assert 0.5 * sum(abs(again.get(key, 0) - wanted.get(key, 0)) for key in {*again, *wanted}) < 0.03


def test_circuit_counts_drawn_again_as_they_are_give_the_answer_again():
    faults = chain(6, 0.03, 0.03)
    counts = sampled(faults, np.random.default_rng(1).random((40, 6)) < 0.3, 8192, np.random.default_rng(2))
    found = gather(counts, faults, measured=True)
    weights = found.present / found.present.sum()
    again = CircuitBlend(counts, found, weights)
    root = weights @ found.roots
    bits = unpack(found.support.words, 6)
    values = again.redo(np.tile(counts.weights, (9, 1)), (np.arange(9) + 0.5) / 9, lambda words: 1.0 * unpack(words, 6))
    np.testing.assert_allclose(values.mean(axis=0), (root**2 / (root @ root)) @ bits, atol=0.02)


def test_features_of_a_circuit_do_not_depend_on_the_names_of_its_qubits():
    faults, order = chain(5, 0.05, 0.03), np.array([3, 1, 4, 0, 2])
    counts = sampled(faults, np.array([[True, False, True, False, True]]), 2000, np.random.default_rng(2))
    masks = pack(unpack(faults.masks, 5)[:, order])
    turned = FaultMasks(5, masks, faults.rates, faults.kind, faults.readout[order])
    there = counts.marginal(order.tolist())
    one, other = features(counts, faults, gather(counts, faults)), features(there, turned, gather(there, turned))
    assert np.abs(one).max() <= 20
    np.testing.assert_allclose(one, other, atol=1e-3)
    nothing = FaultMasks(5, faults.masks, 0 * faults.rates, faults.kind, faults.readout)
    assert not np.allclose(one, features(counts, nothing, gather(counts, nothing)), atol=0.1)
