"""Answers to synthetic counts, kept so that making a method faster does not change what it says.

After a method was changed on purpose: python -m tests.golden.make
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

import qcluster as qc
from qcluster.baselines.hammer import hammer
from qcluster.core.sparse.fit import fit_mixture

FILE = Path(__file__).with_name("answers.json")
RECORDS = {
    "3 bits": (3, 2, 500, 0.05),
    "8 bits": (8, 3, 2000, 0.12),
    "12 bits": (12, 2, 8000, 0.2),
    "20 bits": (20, 5, 3000, 0.06),
    "70 bits": (70, 2, 1000, 0.03),
}
"""Bits, strings sent, shots, flips per bit."""


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


if __name__ == "__main__":
    FILE.write_text(json.dumps({name: answers(name) for name in RECORDS}, indent=1) + "\n")
