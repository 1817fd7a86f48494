"""The gate against loops over features, units and networks."""

from math import exp

import numpy as np
import pytest

from qcluster.core.decision.candidates import NAMES, RAW
from qcluster.core.decision.gate import Gate, shipped


def small(members: int, features: int = 5, hidden: int = 4, seed: int = 0) -> Gate:
    rng = np.random.default_rng(seed)
    sizes = (features, hidden), (hidden,), (hidden, hidden), (hidden,), (hidden, len(NAMES) + 1), (len(NAMES) + 1,)
    layers = tuple(rng.normal(0, 1, (members, *size)).astype(np.float32) for size in sizes)
    mean, scale = rng.normal(size=features).astype(np.float32), rng.uniform(0.5, 2, features).astype(np.float32)
    return Gate(mean, scale, layers, NAMES, '{"missed": {"tfim": [0, 2]}}')


def slow_logits(gate: Gate, features: np.ndarray, member: int) -> list[float]:
    held = [min(max((x - m) / s, -6), 6) for x, m, s in zip(features, gate.mean, gate.scale, strict=True)]
    w1, b1, w2, b2, w3, b3 = (layer[member] for layer in gate.layers)
    for weights, biases, last in ((w1, b1, False), (w2, b2, False), (w3, b3, True)):
        sums = [sum(h * w for h, w in zip(held, weights[:, j], strict=True)) + biases[j] for j in range(len(biases))]
        held = sums if last else [max(x, 0.0) for x in sums]
    return held


def slow_answer(gate: Gate, features: np.ndarray, present: np.ndarray, gram: np.ndarray) -> tuple[list[float], float]:
    """Softmax over what there is, mean over networks times their mean squared overlap; the rest for the counts."""
    members, each, said = len(gate.layers[0]), [], []
    for member in range(members):
        *logits, improved = slow_logits(gate, features, member)
        parts = [exp(x) if there else 0.0 for x, there in zip(logits, present, strict=True)]
        each.append([x / sum(parts) for x in parts])
        said.append(improved)
    overlap, pairs = 0.0, 0
    for i, a in enumerate(each):
        for j, b in enumerate(each):
            if i != j:
                inner = [sum(x * gram[p, q] * y for p, x in enumerate(u) for q, y in enumerate(v))
                         for u, v in ((a, b), (a, a), (b, b))]  # fmt: skip
                overlap, pairs = overlap + inner[0] ** 2 / (inner[1] * inner[2]), pairs + 1
    agreement = overlap / pairs if pairs else 1.0
    weights = [agreement * sum(column) / members for column in zip(*each, strict=True)]
    weights[RAW] += 1 - sum(weights)
    return weights, 1 / (1 + exp(-sum(said) / members))


@pytest.mark.parametrize("members", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_weights_and_confidence_are_those_of_loops(members, seed):
    gate, rng = small(members, seed=seed), np.random.default_rng([seed, members])
    roots = np.sqrt(rng.dirichlet(np.full(8, 0.5), len(NAMES)))
    gram, present = roots @ roots.T, rng.random(len(NAMES)) < 0.7
    present[RAW] = True
    features = rng.normal(0, 4, 5)  # some beyond six standard deviations
    weights, confidence = gate(features, present, gram)
    wanted, likely = slow_answer(gate, features, present, gram)
    np.testing.assert_allclose(weights, wanted, atol=1e-5)
    assert confidence == pytest.approx(likely, abs=1e-5)
    assert not weights[~present].any()
    assert weights.sum() == pytest.approx(1)


def test_many_counts_at_once_are_weighed_as_each_alone():
    gate, rng = shipped(), np.random.default_rng(1)
    features = gate.mean + gate.scale * rng.normal(size=(6, len(gate.mean)))
    roots = np.sqrt(rng.dirichlet(np.full(16, 0.5), (6, len(NAMES))))
    gram, present = roots @ roots.transpose(0, 2, 1), rng.random((6, len(NAMES))) < 0.8
    present[:, RAW] = True
    weights, confidence = gate.weigh(features, present, gram)
    for row in range(6):
        alone, likely = gate(features[row], present[row], gram[row])
        np.testing.assert_allclose(weights[row], alone, atol=1e-6)
        assert confidence[row] == pytest.approx(likely, abs=1e-6)
    assert weights.std(axis=0).max() > 0.05


def test_networks_that_never_saw_a_family_are_those_of_the_card():
    gate = small(4)
    blind = gate.unseen("tfim")
    assert gate.unseen("ghz") is None
    for layer, of_all in zip(blind.layers, gate.layers, strict=True):
        np.testing.assert_array_equal(layer, of_all[[0, 2]])
