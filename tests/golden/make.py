"""Answers to synthetic counts, kept so that making a method faster does not change what it says.

The features of the gates are kept as well: a gate knows only features as they were when it was trained, so that another
definition of one changes answers without a word. After a method was changed on purpose, or gates were trained on other
features: python -m tests.golden.make
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

import qcluster as qc
from qcluster.baselines.hammer import hammer
from qcluster.core.counts.bits import pack
from qcluster.core.decision import candidates, circuit_candidates, circuit_features, features
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.sparse.fit import fit_mixture

FILE, FEATURES = (Path(__file__).with_name(name) for name in ("answers.json", "features.json"))
RECORDS = {
    "3 bits": (3, 2, 500, 0.05),
    "8 bits": (8, 3, 2000, 0.12),
    "12 bits": (12, 2, 8000, 0.2),
    "20 bits": (20, 5, 3000, 0.06),
    "70 bits": (70, 2, 1000, 0.03),
}
"""Bits, strings sent, shots, flips per bit."""
DECIDED = {
    "few, 3 bits": (3, 2, 2000, None),
    "broad, 6 bits": (6, 64, 4000, None),
    "broad, 14 bits": (14, 60, 3000, None),
    "few, 70 bits": (70, 2, 1000, None),
    "broad circuit, 6 bits": (6, 64, 4000, 0.7),
    "broad circuit, 10 bits": (10, 300, 8000, None),
    "few in a circuit, 13 bits": (13, 3, 3000, 0.0),
    "broad circuit, 20 bits": (20, 40, 1500, 3.0),
}
"""Bits, strings sent, shots, rotations of the circuit. (Few strings have no log-linear model to the last digits.)"""


def counts(name: str) -> qc.Distribution:
    """Draw strings, flip them, and count."""
    n_bits, k, shots, rate = RECORDS[name]
    rng = np.random.default_rng([n_bits, k, shots])
    strings = rng.random((k, n_bits)) < 0.5
    sent = strings[rng.choice(k, shots, p=np.arange(k, 0, -1) / (k * (k + 1) / 2))]
    return qc.Distribution(sent ^ (rng.random(sent.shape) < rate), np.ones(shots))


def told(answer: qc.Distribution) -> dict[str, Any]:
    """Keep the heaviest strings, and a sum that every string changes."""
    return {
        "top": answer.top(12),
        "sum": float((answer.probabilities @ answer.bits) @ np.sqrt(np.arange(1, answer.n_bits + 1))),
    }


def answers(name: str) -> dict[str, Any]:
    """Answer one record with every method that is kept."""
    held, rate = counts(name), RECORDS[name][3]
    fit = fit_mixture(held.bits, held.weights)
    return {
        "raw": told(held),
        "paper": told(qc.mitigate(held, rate, method="paper").distribution),
        "hammer": told(hammer(held)),
        "mixture": {
            **told(qc.Distribution(fit.centroids, fit.weights)),
            "log_likelihood": fit.log_likelihood,
            "flip_rate": fit.flip_rate,
            "background": fit.background,
        },
    }


def read_through_faults(name: str) -> tuple[qc.Distribution, FaultMasks]:
    """Draw strings of uneven weight, and flip them by faults; a tenth of the shots are uniform noise."""
    n_bits, k, shots, rotations = DECIDED[name]
    rng = np.random.default_rng([n_bits, k, shots])
    strings = rng.random((k, n_bits)) < 0.5
    read = strings[rng.choice(k, shots, p=rng.dirichlet(np.ones(k)))]
    patterns = np.vstack([np.tri(n_bits, dtype=bool)[1:], rng.random((2, n_bits)) < 0.5])
    rates, readout = rng.uniform(0.002, 0.02, len(patterns)), rng.uniform(0.005, 0.05, (n_bits, 2))
    for pattern, rate in zip(patterns, 1.5 * rates, strict=True):  # more noise than the calibration knows of
        read = read ^ (pattern & (rng.poisson(rate, shots) % 2 == 1)[:, None])
    read = read ^ (rng.random(read.shape) < np.where(read, readout[:, 1], readout[:, 0]))
    uniform = rng.random(shots) < 0.1
    read[uniform] = rng.random((int(uniform.sum()), n_bits)) < 0.5
    kind = np.append(np.zeros(len(rates) - 1), 3)
    last = None if rotations is None else rotations / (2 * n_bits) * np.arange(n_bits) / n_bits
    faults = FaultMasks(n_bits, pack(patterns), rates, kind, readout, rotations, last_rotations=last)
    return qc.Distribution(read, np.ones(shots)), faults


def described(name: str) -> list[float]:
    """Return the features of the gate that decides."""
    held, faults = read_through_faults(name)
    if "circuit" in name:
        found = circuit_features.features(held, faults, circuit_candidates.gather(held, faults))
    else:
        known = faults.readout if name == "broad, 6 bits" else None
        found = features.features(held, candidates.gather(held, known), known)
    return found.round(5).tolist()


def decided(name: str) -> dict[str, Any]:
    """Answer by the method that is decided by a gate."""
    held, faults = read_through_faults(name)
    fixed = qc.mitigate(held, faults if "circuit" in name else None)
    return {**told(fixed.distribution), "share": fixed.share, "confidence": fixed.confidence}


if __name__ == "__main__":
    kept = {name: answers(name) for name in RECORDS} | {name: decided(name) for name in DECIDED}
    FILE.write_text(json.dumps(kept, indent=1) + "\n")
    lines = (f"{json.dumps(name)}: {json.dumps(described(name))}" for name in DECIDED)
    FEATURES.write_text("{\n" + ",\n".join(lines) + "\n}\n")
