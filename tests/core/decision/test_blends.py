"""Answers redrawn against refits of every resample, and what candidates of circuits are made of."""

from dataclasses import replace

import numpy as np
import pytest

import qcluster as qc
from qcluster.core.counts.bits import index_bits, pack, unique_words, unpack
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.metrics import hellinger_fidelity
from qcluster.core.decision import candidates, circuit_candidates
from qcluster.core.decision.blend import Blend
from qcluster.core.decision.circuit_blend import CircuitBlend
from qcluster.core.decision.circuit_candidates import (
    ALONE,
    BAYESIAN,
    LOG_LINEAR,
    RAW,
    READOUT,
    SCALED,
    SCALES,
    STRINGS,
    Support,
    gather,
)
from qcluster.core.decision.circuit_features import features
from qcluster.core.decision.decide import decide
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.kernel import Kernel
from qcluster.core.sparse.fit import MixtureSettings
from tests.core.decision.test_circuit import chain, sampled
from tests.core.sparse.test_fit import flipped

DRAWS = 40


@pytest.mark.parametrize("n_bits", [6, 16])
def test_counts_that_are_drawn_again_as_they_are_give_the_answer_again(n_bits):
    sent = np.random.default_rng(n_bits).random((2, n_bits)) < 0.5
    read = flipped(sent, np.array([0.7, 0.3]), 4000, 0.03, 0.08, 1)
    decided = decide(read)
    assert decided.blend is not None
    roots = decided.blend.roots(np.tile(read.weights, (9, 1)), (np.arange(9) + 0.5) / 9)
    np.testing.assert_allclose((roots**2).sum(axis=1), 1)
    again = Distribution.from_words(decided.blend.support.words, (roots**2).mean(axis=0), n_bits).to_probs()
    wanted = decided.answer.distribution.to_probs()
    assert 0.5 * sum(abs(again.get(key, 0) - wanted.get(key, 0)) for key in {*again, *wanted}) < 0.03


@pytest.mark.parametrize(("n_bits", "many", "shots"), [(5, 20, 3000), (12, 200, 5000), (14, 3, 600)])
def test_each_candidate_is_found_again_in_the_same_counts(n_bits, many, shots):
    """Deconvolutions in other numbers of steps, or the counts smoothed where they are not, are other answers."""
    sent = np.random.default_rng(1).random((many, n_bits)) < 0.4
    read = flipped(sent, np.full(many, 1 / many), shots, 0.03, 0.05, 2)
    found = candidates.gather(read)
    for one in np.flatnonzero(found.present):
        weights = np.eye(len(found.present))[one]
        blend = Blend(read, found.support, found.fit, found.hypotheses, weights)
        again = blend.roots(read.weights[None], np.array([0.5]))[0]
        np.testing.assert_allclose(again, found.roots[one], atol=1e-6, err_msg=candidates.NAMES[one])


def parities(words):
    """Averages over one bit, another, and two, which tell the strings below apart."""
    bits = unpack(words, 6)
    return 1.0 - 2.0 * np.stack([bits[:, 1], bits[:, 2], bits[:, 2] ^ bits[:, 5]], axis=1)


FAULTS = chain(6, 0.03, 0.03)


@pytest.fixture(scope="module")
def of_counts():
    """Counts, resamples of them, and the candidates that are found anew in each."""
    read = flipped(index_bits(np.array([9, 22, 50]), 6), np.array([0.5, 0.3, 0.2]), 3000, 0.03, 0.06, 5)
    return read, *resampled(read, candidates.gather)


@pytest.fixture(scope="module")
def of_circuits():
    read = sampled(FAULTS, index_bits(np.array([9, 22, 50, 22]), 6), 3000, np.random.default_rng(3))
    return read, *resampled(read, lambda drawn: gather(drawn, FAULTS))


def resampled(read, find):
    draws = np.random.default_rng(1).multinomial(3000, read.probabilities, DRAWS).astype(float)
    return draws, [find(Distribution(read.bits[draw > 0], draw[draw > 0])) for draw in draws]


def blend_again(refits, weights):
    """Blend the candidates of every resample by the weights that were given."""
    roots = [weights @ again.roots for again in refits]
    return np.array(
        [root**2 / (root @ root) @ parities(again.support.words) for root, again in zip(roots, refits, strict=True)]
    )


def scatter_alike(redrawn, refits, least):
    """Both move by more than `least`, by as much to a fifth, and together; deconvolution goes on where it stopped."""
    assert (refits.std(axis=0) > least).all()
    np.testing.assert_allclose(redrawn.std(axis=0), refits.std(axis=0), rtol=0.2)
    np.testing.assert_allclose(redrawn.mean(axis=0), refits.mean(axis=0), atol=0.03)
    for one, other in zip(redrawn.T, refits.T, strict=True):
        assert np.corrcoef(one, other)[0, 1] > 0.9


@pytest.mark.parametrize("place", ["counts", "mixture", "deconvolved", "all"])
def test_blends_of_counts_move_as_refits_do(of_counts, place):
    read, draws, refits = of_counts
    found, weights = candidates.gather(read), np.zeros(len(candidates.NAMES))
    parts = {"counts": candidates.RAW, "mixture": candidates.MIXTURE, "deconvolved": candidates.DENSE + 1}
    weights[list(parts.values()) if place == "all" else parts[place]] = 1 / 3 if place == "all" else 1
    blend = Blend(read, found.support, found.fit, found.hypotheses, weights)
    redrawn = blend.resample(draws, (np.arange(DRAWS) + 0.5) / DRAWS, parities)
    scatter_alike(redrawn, blend_again(refits, weights), 0.005)


def test_strings_of_a_decided_answer_move_under_the_prior_that_was_set():
    raw = {"000": 430, "001": 20, "010": 18, "100": 22, "011": 21, "101": 17, "110": 22, "111": 450}
    known = {"noise": 0.08, "settings": MixtureSettings(prior_shots=1e6)}
    decided, bare = (qc.mitigate(raw, guard=guard, **known).response for guard in (True, False))
    strings = replace(decided, weights=np.eye(len(candidates.NAMES))[candidates.MIXTURE])
    draws = np.random.default_rng(5).multinomial(1000, bare.counts / 1000, size=DRAWS).astype(float)
    levels = (np.arange(DRAWS) + 0.5) / DRAWS
    redrawn = (one.resample(draws, levels, lambda words: words == 0) for one in (strings, bare))
    np.testing.assert_allclose(*redrawn)


@pytest.mark.parametrize("place", ["counts", "strings", "readout", "calibrated", "log-linear", "Bayesian", "all"])
def test_blends_of_circuits_move_as_refits_do(of_circuits, place):
    read, draws, refits = of_circuits
    found, weights = gather(read, FAULTS), np.zeros(len(circuit_candidates.NAMES))
    parts = {"counts": RAW, "strings": STRINGS, "readout": READOUT, "calibrated": SCALED + SCALES.index(1.0)}
    parts |= {"log-linear": LOG_LINEAR, "Bayesian": BAYESIAN}  # the wary one draws its scale from many
    if place == "all":
        weights[[RAW, STRINGS, READOUT]] = 1 / 3  # one deconvolution, or it would be drawn which
    else:
        weights[parts[place]] = 1
    redrawn = CircuitBlend.of(read, found, weights).resample(draws, (np.arange(DRAWS) + 0.5) / DRAWS, parities)
    scatter_alike(redrawn, blend_again(refits, weights), 0.005)


def test_what_counts_say_alone_moves_as_without_a_circuit(of_circuits):
    read, draws, _ = of_circuits
    found, weights = gather(read, FAULTS), np.eye(len(circuit_candidates.NAMES))[ALONE]
    levels = (np.arange(DRAWS) + 0.5) / DRAWS
    redrawn = CircuitBlend.of(read, found, weights).resample(draws, levels, parities)
    assert found.alone.blend is not None
    np.testing.assert_allclose(redrawn, found.alone.blend.resample(draws, levels, parities))
    assert redrawn.std(axis=0).min() > 0.005


@pytest.mark.parametrize("n_bits", [5, 14])
def test_the_fidelity_of_a_blend_follows_from_the_overlaps(n_bits):
    """``F = (w.g)^2 / (w' G w)``, G the Gram matrix and g the overlaps with the ideal's root."""
    rng = np.random.default_rng(n_bits)
    sent = rng.random((4, n_bits)) < 0.5
    ideal = Distribution(sent, np.array([0.4, 0.3, 0.2, 0.1]))
    found = candidates.gather(flipped(sent, ideal.probabilities, 2000, 0.04, 0.04, 2))
    weights = rng.dirichlet(np.ones(len(found.present))) * found.present
    root = weights @ found.roots
    answer = Distribution.from_words(found.support.words, root * root / (root @ root), n_bits)
    probs, sides = ideal.to_probs(), []
    for one in found.roots:
        held = Distribution.from_words(found.support.words, one * one, n_bits).to_probs() if one.any() else {}
        sides.append(sum(np.sqrt(p * held.get(key, 0.0)) for key, p in probs.items()))
    predicted = (weights @ np.array(sides)) ** 2 / (weights @ found.gram @ weights)
    assert hellinger_fidelity(answer, ideal) == pytest.approx(predicted, rel=1e-6)


def test_strings_of_one_index_share_what_it_gets():
    """Wide registers: indices are hashes. What an index gets goes to its strings as often as these were read."""
    rng = np.random.default_rng(5)
    kernel = Kernel.of(chain(30, 0.01, 0.03), 6)
    words, _ = unique_words(pack(rng.random((100, 30)) < 0.5))
    indices = kernel.index.of(words)
    shots = rng.integers(1, 50, 100).astype(float)
    whole = np.bincount(indices, shots, kernel.size)
    support = Support(words, indices, shots / whole[indices], False)
    vector = rng.dirichlet(np.ones(kernel.size))
    spread = support.spread(vector[None])[0] ** 2
    wanted = np.array([vector[k] * s / whole[k] for k, s in zip(indices, shots, strict=True)])
    np.testing.assert_allclose(spread, wanted / wanted.sum(), atol=1e-12)
    some = rng.permutation(100)[:20]
    np.testing.assert_array_equal(support.places(words[some]), some)


def test_an_index_means_the_same_string_wherever_it_is_asked():
    """Of strings that share an index and were read equally often: the lowest, in the description and in the answer."""
    faults = chain(20, 0.01, 0.03)
    counts = Distribution(np.random.default_rng(4).random((400, 20)) < 0.5, np.ones(400))
    found = gather(counts, faults)
    indices = np.unique(found.kernel.index.of(counts.words))
    assert len(indices) < counts.n_outcomes
    meant = replace(found, few=replace(found.few, strings=indices)).strings
    words = circuit_candidates.words_of(counts, found.kernel)
    assert words is not None
    np.testing.assert_array_equal(found.support.words[meant], words[indices])
    lowest = [counts.words[found.kernel.index.of(counts.words) == index].min() for index in indices]
    np.testing.assert_array_equal(words[indices, 0], lowest)


def test_circuit_counts_drawn_again_as_they_are_give_the_answer_again():
    faults = chain(6, 0.03, 0.03)
    counts = sampled(faults, np.random.default_rng(1).random((40, 6)) < 0.3, 8192, np.random.default_rng(2))
    found = gather(counts, faults)
    weights = found.present / found.present.sum()
    again = CircuitBlend.of(counts, found, weights)
    root = weights @ found.roots
    bits = unpack(found.support.words, 6)
    values = again.resample(
        np.tile(counts.weights, (9, 1)), (np.arange(9) + 0.5) / 9, lambda words: 1.0 * unpack(words, 6)
    )
    np.testing.assert_allclose(values.mean(axis=0), (root**2 / (root @ root)) @ bits, atol=0.02)


@pytest.mark.parametrize("n_bits", [4, 14, 20])
def test_a_deconvolution_of_the_same_counts_ends_where_it_ended(n_bits):
    """Where rounds went on, the interval held how much sharper the answer would have become."""
    sent = np.random.default_rng(n_bits).random((2, n_bits)) < 0.5
    faults = chain(n_bits, 0.01, 0.03)
    fixed = qc.mitigate(sampled(faults, sent, 500, np.random.default_rng(1)), faults, guard=False)

    def values(words):
        return 1.0 - 2.0 * np.stack([unpack(words, n_bits).sum(axis=1) % 2, words[:, 0] & 1], axis=1)

    assert fixed.response is not None
    again = fixed.response.resample(fixed.raw.weights[None], np.array([0.5]), values)
    answer = fixed.distribution
    np.testing.assert_allclose(again[0], answer.probabilities @ values(answer.words), atol=1e-6)


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


def test_models_of_little_weight_stay_in_the_answers_to_redrawn_counts():
    """They are held, on strings that were read as well: only the counts move."""
    counts = sampled(FAULTS, np.random.default_rng(1).random((40, 6)) < 0.3, 8192, np.random.default_rng(2))
    found, weights = gather(counts, FAULTS), np.zeros(len(circuit_candidates.NAMES))
    weights[LOG_LINEAR:SCALED] = 0.02
    weights[RAW] = 0.92
    root, draws = weights @ found.roots, np.tile(counts.weights, (2, 1))
    again = CircuitBlend.of(counts, found, weights).resample(draws, np.array([0.2, 0.8]), parities)
    wanted = (root**2 / (root @ root)) @ parities(found.support.words)
    np.testing.assert_allclose(again, [wanted, wanted], atol=1e-12)
