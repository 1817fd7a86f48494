"""Laws of the decision that hold whatever its weights are, and right values that a user would meet first."""

import re
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qcluster as qc
from qcluster.core.counts.bits import index_bits
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.metrics import hellinger_fidelity
from qcluster.core.decision.candidates import FIXED, HEAVIEST, MIXTURE, NAMES, RAW, gather
from qcluster.core.decision.decide import decide, decide_steps
from qcluster.core.decision.features import features
from qcluster.core.decision.gate import Gate, shipped
from qcluster.core.lockstep import run_one
from qcluster.learn.decision.cases import Case
from qcluster.learn.decision.ideals import FAMILIES
from qcluster.learn.decision.score import answers
from qcluster.learn.decision.table import tabulate
from tests.strategies import counts


def drawn(p: np.ndarray, rates: float, shots: int, rng: np.random.Generator, lost: float = 0.0) -> Distribution:
    """Shots of an ideal (2^n,) whose bits flip at one rate, some replaced by uniform noise."""
    n = len(p).bit_length() - 1
    rows = rng.choice(len(p), shots, p=p / p.sum())
    bits = index_bits(rows, n) ^ (rng.random((shots, n)) < rates)
    gone = rng.random(shots) < lost
    bits[gone] = rng.random((int(gone.sum()), n)) < 0.5
    return Distribution(bits, np.ones(shots))


def of(p: np.ndarray) -> Distribution:
    n = len(p).bit_length() - 1
    rows = np.flatnonzero(p)
    return Distribution(index_bits(rows, n), p[rows])


def fixed_and_free(n: int, rng: np.random.Generator) -> np.ndarray:
    """A product of bits, some fixed, the others at 1/2 or at any bias."""
    chance = np.where(rng.random(n) < 0.5, rng.random(n) < 0.5, np.where(rng.random(n) < 0.5, 0.5, rng.random(n)))
    p = np.ones(1)
    for one in chance[::-1]:
        p = np.kron(p, [1 - one, one])
    return p


@settings(max_examples=40)
@given(counts(max_bits=8, max_strings=60))
def test_shots_are_kept_and_numbers_are_in_range(given_counts):
    found = decide(Distribution.of(given_counts)).answer
    assert found.distribution.shots == pytest.approx(sum(given_counts.values()))
    assert 0 <= found.share <= 1
    assert found.confidence is None or 0 <= found.confidence <= 1
    assert found.reason.endswith("left as is") or not found.reason.startswith("left") or not found.applied


@pytest.mark.parametrize(
    "given_counts",
    [
        {"00": 4000, "01": 4000},
        {"00": 2000, "01": 6000},
        {"000": 2010, "001": 1990, "010": 2005, "011": 1995},
        {"000": 4000, "111": 4000},
        {"0110": 8192},
    ],
)
def test_noiseless_counts_stay(given_counts):
    fixed = qc.mitigate(given_counts)
    assert hellinger_fidelity(fixed.distribution, Distribution.of(given_counts)) > 0.99


def test_a_bit_in_superposition_on_a_real_machine_stays():
    """Counts of ibm_marrakesh; half of the ideal is 000000, half 010000."""
    seen = {
        "000000": 907, "010000": 958, "011000": 5, "000001": 33, "001000": 3, "010001": 36,
        "100000": 24, "110000": 20, "000100": 5, "111000": 1, "010100": 7, "110001": 1,
    }  # fmt: skip
    ideal = Distribution.of({"000000": 1, "010000": 1})
    fixed = qc.mitigate(seen)
    assert hellinger_fidelity(fixed.distribution, ideal) > hellinger_fidelity(fixed.raw, ideal) - 0.02


@pytest.mark.parametrize("n", [2, 3, 4, 6, 8, 10, 12, 13, 16])
def test_fixed_and_free_bits_are_not_harmed(n):
    losses = []
    for seed in range(12):
        rng = np.random.default_rng([n, seed])
        p = fixed_and_free(n, rng)
        seen = drawn(p, rng.choice([0, 0.01, 0.02, 0.04]), int(rng.choice([200, 1000, 8192])), rng)
        losses.append(hellinger_fidelity(seen, of(p)) - hellinger_fidelity(decide(seen).answer.distribution, of(p)))
    assert max(losses) <= 0.02


@pytest.mark.parametrize("n", [3, 8, 12, 20, 30])
def test_uniform_noise_is_left_as_it_is(n):
    rng = np.random.default_rng(n)
    fixed = qc.mitigate(Distribution(rng.random((20_000, n)) < 0.5, np.ones(20_000)))
    assert not fixed.applied
    assert fixed.distribution == fixed.raw


def blocks_of_four(rng: np.random.Generator) -> np.ndarray:
    """25 GHZ states of four qubits each."""
    return np.repeat(rng.random((4096, 25)) < 0.5, 4, axis=1)


def domain_walls(rng: np.random.Generator) -> np.ndarray:
    """A chain of 40 spins after a fast quench: a wall between one in five neighbours."""
    return np.cumsum(np.hstack([rng.random((4096, 1)) < 0.5, rng.random((4096, 39)) < 0.2]), axis=1) % 2 == 1


@pytest.mark.parametrize("draw", [blocks_of_four, domain_walls])
@pytest.mark.parametrize("decay", [0.01, 0.04])
def test_one_string_does_not_stand_for_thousands(draw, decay):
    """The fidelity, about 0 for any answer, cannot tell; the correlations of the bits can."""
    rng = np.random.default_rng(1)
    sent = draw(rng)
    seen = Distribution(rng.random(sent.shape) < np.where(sent, 1 - decay, 0.01), np.ones(len(sent)))
    answer = qc.mitigate(seen).distribution

    def correlations(d: Distribution) -> np.ndarray:
        signs = 1.0 - 2.0 * d.bits
        return np.asarray(signs.T @ (signs * d.probabilities[:, None]))

    error = correlations(answer) - correlations(Distribution(sent, np.ones(len(sent))))
    assert np.sqrt((error**2).mean()) < 0.05


@settings(max_examples=25)
@given(counts(min_bits=2, max_bits=7, max_strings=40), st.randoms(use_true_random=False))
def test_renaming_qubits_renames_the_answer(given_counts, random):
    d = Distribution.of(given_counts)
    order = list(range(d.n_bits))
    random.shuffle(order)
    here, there = decide(d).answer, decide(d.marginal(order)).answer
    assert here.applied == there.applied
    assert hellinger_fidelity(here.distribution.marginal(order), there.distribution) > 1 - 1e-6


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_which_of_two_strings_comes_first_by_name_decides_nothing(order):
    """011 and 101 are as frequent as each other, and the answer weighs one string."""
    d = Distribution.of({"001": 24, "010": 63, "011": 193, "101": 193})
    here, there = decide(d).answer, decide(d.marginal(order)).answer
    assert hellinger_fidelity(here.distribution.marginal(order), there.distribution) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("shots", [400, 4000])
def test_an_answer_that_is_the_counts_is_not_called_another(shots):
    """Two strings without noise: what a deconvolution makes of them is what was read."""
    fixed = qc.mitigate({"00": shots // 2 - 9, "11": shots // 2 + 9})
    assert not fixed.applied
    assert fixed.distribution == fixed.raw


def test_flipping_bits_flips_the_answer():
    for seed in range(8):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(3, 9))
        p = rng.dirichlet(np.full(1 << n, rng.choice([0.02, 0.2, 1.0])))
        seen, mask = drawn(p, 0.04, 4096, rng), rng.random(n) < 0.5
        here, there = (
            decide(seen).answer.distribution,
            decide(Distribution(seen.bits ^ mask, seen.weights)).answer.distribution,
        )
        turned = Distribution(there.bits ^ mask, there.weights)
        a, b = here.to_probs(), turned.to_probs()
        assert 0.5 * sum(abs(a.get(key, 0) - b.get(key, 0)) for key in {*a, *b}) <= 0.02


def test_what_the_user_expects_moves_the_answer_that_way():
    """One marked string on a flat floor is one string under noise, or Grover's search half way."""
    rng = np.random.default_rng(5)
    p = np.full(64, 0.4 / 64)
    p[37] += 0.6
    seen = drawn(p, 0.01, 8192, rng)
    top = {word: qc.mitigate(seen, expect=word).distribution.to_probs()["100101"] for word in ("sparse", "dense", None)}
    assert top["sparse"] >= top[None] >= top["dense"]
    assert top["sparse"] > top["dense"] + 0.05


def seen_through_flips(p: np.ndarray, rate: float, lost: float = 0.0) -> np.ndarray:
    """What a machine returns for an ideal (2^n,) as its shots become many."""
    n = len(p).bit_length() - 1
    weight = np.array([int(x).bit_count() for x in range(1 << n)])
    kernel = rate**weight * (1 - rate) ** (n - weight)
    index = np.arange(1 << n)
    return (1 - lost) * kernel[index[:, None] ^ index] @ p + lost / (1 << n)


def fixed_outputs() -> dict[str, np.ndarray]:
    """Ideals that no seed draws."""
    ghz, w, phase = np.zeros(32), np.zeros(32), np.zeros(64)
    ghz[[0, 31]] = 0.5
    w[1 << np.arange(5)] = 0.2
    turns = np.arange(64) / 64 - 0.3
    phase = np.sin(64 * np.pi * turns) ** 2 / (64 * np.sin(np.pi * turns)) ** 2
    bell = np.exp(-(((np.arange(64) - 31.5) / 12) ** 2))
    tilted = np.kron([0.8, 0.2], np.kron([0.5, 0.5], np.kron([1.0, 0.0], [0.97, 0.03])))
    return {"ghz": ghz, "w": w, "phase": phase, "bell": bell / bell.sum(), "product": tilted}


@pytest.mark.parametrize("lost", [0.0, 0.2])
@pytest.mark.parametrize("rate", [0.01, 0.05])
@pytest.mark.parametrize("name", list(fixed_outputs()))
def test_more_shots_never_turn_a_right_answer_into_a_wrong_one(name, rate, lost):
    """Right: no worse than the counts, by more than shot noise can do. Shots have the expected frequencies."""
    ideal = fixed_outputs()[name]
    p = seen_through_flips(ideal, rate, lost)
    gains = []
    for shots in (250, 1000, 4000, 16000, 64000, 256000):
        counts = np.round(p * shots)
        raw = of(counts)
        gains.append(
            hellinger_fidelity(decide(raw).answer.distribution, of(ideal)) - hellinger_fidelity(raw, of(ideal))
        )
    right = np.array(gains) > -0.02
    assert (np.diff(right.astype(int)) >= 0).all(), gains


@pytest.mark.parametrize("n", [5, 13, 70])
def test_features_do_not_depend_on_names_or_order(n):
    rng = np.random.default_rng(3)
    seen = drawn(rng.dirichlet(np.full(32, 0.1)), 0.03, 4096, rng)
    seen = Distribution(np.hstack([seen.bits, rng.random((len(seen.bits), n - 5)) < 0.02]), seen.weights)
    moved = seen.marginal(rng.permutation(n).tolist())
    np.testing.assert_allclose(features(seen, gather(seen)), features(moved, gather(moved)), atol=2e-3)


def test_candidates_are_unit_vectors_or_absent():
    rng = np.random.default_rng(4)
    for n, known in ((3, None), (6, np.full((6, 2), 0.02)), (14, None), (66, None)):
        seen = Distribution((rng.random((2000, n)) < 0.1) ^ (rng.random((2000, 1)) < 0.5), np.ones(2000))
        found = gather(seen, known)
        norms = np.sqrt((found.roots**2).sum(axis=1))
        np.testing.assert_allclose(norms, found.present.astype(float), atol=1e-6)
        assert found.present[-1] == (known is not None)


@pytest.mark.parametrize("idle", [0.0, 0.02])
def test_counts_in_which_no_bit_is_set_otherwise_count_as_counts(idle):
    """Bits that always read alike are fixed, and nothing is changed by it: no part of the answer is mitigated."""
    rng, shots = np.random.default_rng(6), 4000
    bits = np.hstack([rng.random((shots, 4)) < 0.4, rng.random((shots, 12)) < idle])
    seen, gate = Distribution(bits, np.ones(shots)), shipped(wide=True)
    bias = np.full_like(gate.layers[5], -50)
    bias[:, [FIXED, -1]] = 50  # which is sure of it
    fixing = Gate(gate.mean, gate.scale, (*gate.layers[:4], 0 * gate.layers[4], bias), NAMES, "{}")
    answer = run_one(decide_steps(seen, None, None, None, fixing)).answer
    assert answer.applied == (idle > 0)
    assert answer.share == pytest.approx(float(idle > 0))
    case = Case(seen, seen, "any", "any", None, False)
    _, _, applied = answers(tabulate([case]), wide=fixing)
    assert applied.tolist() == [answer.applied]
    if answer.applied:
        words = "the counts, with bits that hardly ever differ set to their usual value"
        assert answer.reason == f"{words}; weighed by gate {fixing.digest}"
        assert not answer.distribution.bits[:, 4:].any()


@pytest.mark.parametrize("weights", [(0.9, 0.1), (0.6, 0.3, 0.1), (0.7, 0.1, 0.1, 0.1), (0.97, 0.03)])
@pytest.mark.parametrize("lost", [0.0, 0.3])
def test_the_reason_counts_the_strings_that_explain_the_share_it_states(weights, lost):
    p = np.zeros(64)
    p[[0, 63, 21, 7][: len(weights)]] = weights
    bare = qc.mitigate(drawn(p, 0.05, 8192, np.random.default_rng(1), lost), guard=False)
    strings, percent = re.match(r"(\d+) strings explain (\d+)% of the shots", bare.reason).groups()
    assert int(strings) == len(weights)
    assert int(percent) == pytest.approx(100 * (1 - lost), abs=2)
    assert bare.weights[: len(weights)] == pytest.approx(np.array(weights), abs=0.015)


def test_the_reason_gives_flips_as_a_probability_per_bit():
    """It said "deconvolution of 18.8% flips": of what, was open, and a blend read "with 36% of 2 strings explain"."""
    p = np.zeros(64)
    p[[0, 63, 21, 7]] = 0.4, 0.3, 0.2, 0.1
    seen = drawn(p, 0.05, 4000, np.random.default_rng(1), 0.1)
    bare = qc.mitigate(seen, guard=False)
    strings = r"4 strings explain (\d+)% of the shots, with flips of (\d+\.\d)% per bit and uniform noise in (\d+)%"
    explained, flips, uniform = map(float, re.fullmatch(f"{strings}; not guarded", bare.reason).groups())
    assert explained + uniform == pytest.approx(100, abs=1)
    assert flips == pytest.approx(100 * bare.rates.mean(), abs=0.05)
    dense = r"deconvolution that assumes flips of \d+\.\d% per bit and uniform noise in \d+% of the shots"
    blended = rf"({dense}|{strings}), with \d+% of another answer: ({dense}|{strings})"
    assert re.fullmatch(blended, qc.mitigate(seen, expect="sparse").reason)


@pytest.mark.parametrize("n", [12, 16])
def test_bits_that_nothing_wrote_are_pointed_at(n):
    """Bits without one flip pass for bits without noise: only the user knows whether they were measured."""
    rng, shots, few = np.random.default_rng(2), 4000, 6
    sent = (rng.random((3, few)) < 0.5)[rng.integers(3, size=shots)]
    bits = np.zeros((shots, n), dtype=bool)
    bits[:, :few] = sent ^ (rng.random(sent.shape) < 0.05)
    hint = f"; {n - few} bits never differ: leave them out (Distribution.marginal) if not measured"
    seen = Distribution(bits, np.ones(shots))
    assert qc.mitigate(seen).reason.endswith(hint)
    assert "never differ" not in qc.mitigate(seen.marginal(range(few))).reason
    measured = Distribution(bits ^ (rng.random(bits.shape) < 0.01), np.ones(shots))
    assert "never differ" not in qc.mitigate(measured).reason
    noiseless = Distribution(np.tile(bits[:2], (shots // 2, 1)), np.ones(shots))
    assert "never differ" not in qc.mitigate(noiseless).reason, "where no bit is flipped none tells anything"
    rare = Distribution(bits[:20], np.ones(20))
    assert "never differ" not in qc.mitigate(rare).reason, "few shots show no flip of a good bit either"


def test_a_gate_that_believes_the_counts_leaves_them(monkeypatch):
    gate = shipped()
    bias = np.full_like(gate.layers[5], -50)
    bias[:, RAW] = 50
    stubborn = Gate(gate.mean, gate.scale, (*gate.layers[:4], 0 * gate.layers[4], bias), NAMES, "{}")
    monkeypatch.setattr("qcluster.core.decision.decide.shipped", lambda **_: stubborn)
    found = decide(Distribution.of({"000": 430, "001": 20, "010": 18, "111": 450})).answer
    assert not found.applied
    assert found.distribution.to_counts() == {"000": 430, "001": 20, "010": 18, "111": 450}


def test_networks_that_disagree_leave_the_counts():
    """Two networks that are each sure of another candidate: what they do not agree on is left as it came."""
    gate, many = shipped(), len(NAMES)
    bias = np.zeros((2, many + 1), np.float32)
    bias[0, MIXTURE] = bias[1, HEAVIEST] = 50
    layers = [np.zeros_like(layer[:2]) for layer in gate.layers[:5]]
    torn = Gate(gate.mean, gate.scale, (*layers, bias), NAMES, "{}")
    present = np.ones(many, dtype=bool)
    for overlap in (0.0, 0.6, 1.0):
        gram = np.eye(many)
        gram[MIXTURE, HEAVIEST] = gram[HEAVIEST, MIXTURE] = overlap
        weights, _ = torn(np.zeros(len(gate.mean)), present, gram)
        assert weights.sum() == pytest.approx(1)
        assert weights[RAW] == pytest.approx(1 - overlap**2)
        assert weights[MIXTURE] == weights[HEAVIEST] == pytest.approx(overlap**2 / 2)


def test_every_family_but_few_strings_is_kept_from_some_networks():
    gate = shipped()
    many = len(gate.layers[0])
    for family in FAMILIES:
        blind = gate.unseen(family)
        if family in ("strings", "ghz"):
            assert blind is None
        else:
            assert 0 < len(blind.layers[0]) < many
            np.testing.assert_array_equal(blind.mean, gate.mean)


@pytest.mark.parametrize("known", [None, 0.005])
@pytest.mark.parametrize("n", [13, 16, 20])
def test_a_product_of_turned_qubits_is_not_taken_for_one_string(n, known):
    """Its counts are those of one string under 10% flips; but such flips come together, and known rates are smaller."""
    bits = np.random.default_rng(n).random((4096, n)) < 0.1
    d = Distribution(bits, np.ones(4096))
    rates = None if known is None else np.full((n, 2), known)

    def fidelity(answer):
        ideal = np.prod(np.where(answer.bits, 0.1, 0.9), axis=1)
        return float(np.sqrt(answer.probabilities * ideal).sum() ** 2)

    assert fidelity(qc.mitigate(d, rates).distribution) > fidelity(d) - 0.1, "one string has 12 to 25%"


@pytest.mark.parametrize("n", [13, 20, 30, 50])
def test_one_string_whose_bits_flip_unlike_is_found(n):
    """Flips of every bit alone, whose rates scatter as readout errors do, are no product of turned qubits."""
    rng = np.random.default_rng(n)
    string, rates = rng.random(n) < 0.5, 0.03 * rng.lognormal(0, 0.3, n)
    d = Distribution(string ^ (rng.random((4096, n)) < rates), np.ones(4096))
    assert hellinger_fidelity(decide(d).answer.distribution, Distribution(string[None], np.ones(1))) > 0.9
