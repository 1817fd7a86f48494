"""Bias of mitigated expectation values, compared with M3: under readout errors alone, and with gate errors as well.

``python -m benchmarks.bias`` writes benchmarks/results/bias.csv, one row per case, observable and method, in about five
minutes on one core; docs/m3.md shows it. Every trial draws new shots from the same noisy distribution. All methods get
the same shots, and methods that use readout errors get the true ones, as after a perfect calibration. M3 is mthree
itself; its value is that of the quasi-probabilities, from `quasi.expval`. The value of our methods is that of the
mitigated distribution. ``bias`` is the mean error, ``bias_sd`` the standard error of that mean, and ``rms`` the typical
error of a single run.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

import qcluster as qc
from benchmarks.coverage import Floats, apply_faults, chain, strings
from benchmarks.data import write_row_by_row
from qcluster.baselines.m3 import quasi_probabilities
from qcluster.core.counts.bits import unpack
from qcluster.core.counts.observables import diagonal
from qcluster.core.noise.faults import FaultMasks, non_clifford_weight

N_BITS = 6
SHOTS = 4096
READOUT = np.array([[0.012, 0.03], [0.02, 0.05], [0.008, 0.02], [0.03, 0.07], [0.015, 0.03], [0.02, 0.04]])
"""P(read 1|0) and P(read 0|1) of each bit, with values typical of a recorded machine."""
GATES = 0.02
"""Probability of a fault at each of the five gates of a chain, per shot."""

Value = Callable[[qc.Distribution], Floats]
"""Counts -> the values of all observables."""


def ideals() -> Iterator[tuple[str, Floats, float | None]]:
    """Yield ideal outputs (few strings, tails, broad ones), each with its total rotation away from Clifford gates."""
    rng = np.random.default_rng(20261128)
    yield "one string", strings(N_BITS, {"101101": 1}), 0.0
    yield "GHZ", strings(N_BITS, {"0" * N_BITS: 1, "1" * N_BITS: 1}), 0.0
    tailed = strings(N_BITS, {"000000": 0.6, "000011": 0.2, "110000": 0.1})
    yield "three strings and a tail", 0.9 * tailed + 0.1 * rng.dirichlet(np.ones(1 << N_BITS)), None
    product, angles = np.ones(1), rng.uniform(0.1, 0.6, N_BITS)
    for angle in angles:
        product = np.kron(product, [np.cos(angle) ** 2, np.sin(angle) ** 2])
    yield "qubits turned by small angles", product, float(non_clifford_weight(2 * angles).sum())
    yield "Porter-Thomas", rng.dirichlet(np.ones(1 << N_BITS)), None


def noises() -> Iterator[tuple[str, FaultMasks]]:
    """Yield readout errors alone, and readout errors with gate errors."""
    none = np.zeros(0)
    yield "readout", FaultMasks(N_BITS, np.zeros((0, 1), np.uint64), none, none.astype(np.uint8), READOUT)
    yield "readout and gates", replace(chain(N_BITS, GATES), readout=READOUT)


def measure(name: str, ideal: Floats, noise: str, faults: FaultMasks, trials: int) -> Iterator[dict[str, Any]]:
    """Run one case and yield a row for each observable and method."""
    noisy = apply_faults(ideal, faults)
    every = np.arange(len(ideal), dtype=np.uint64)[:, None]
    bits = unpack(every, N_BITS)
    observables = ["Z" * N_BITS, "I" * (N_BITS - 2) + "ZZ", "I" * (N_BITS - 1) + "Z"]
    values = np.array([diagonal(one, N_BITS).values(every) for one in observables])

    def values_of(answer: qc.Distribution) -> Floats:
        vector = np.zeros(len(ideal))
        vector[answer.words[:, 0].astype(np.int64)] = answer.probabilities
        return np.asarray(values @ vector)

    def by_m3(counts: qc.Distribution) -> Floats:
        quasi = quasi_probabilities(counts, READOUT)
        return np.array([quasi.expval(one) for one in observables])

    methods: dict[str, Value] = {
        "raw": values_of,
        "m3": by_m3,
        "counts": lambda counts: values_of(qc.mitigate(counts).distribution),
        "counts and readout": lambda counts: values_of(qc.mitigate(counts, READOUT).distribution),
        "circuit": lambda counts: values_of(qc.mitigate(counts, faults).distribution),
    }
    rng, true = np.random.default_rng([len(noise), *name.encode()]), values @ ideal
    errors = np.empty((trials, len(methods), len(observables)))
    for trial in range(trials):
        counts = qc.Distribution(bits, rng.multinomial(SHOTS, noisy / noisy.sum()))
        errors[trial] = [value(counts) - true for value in methods.values()]
    for m, method in enumerate(methods):
        for k, label in enumerate(observables):
            error = errors[:, m, k]
            yield {
                "ideal": name,
                "noise": noise,
                "observable": label,
                "method": method,
                "shots": SHOTS,
                "trials": trials,
                "true": f"{true[k]:.4f}",
                "bias": f"{error.mean():.5f}",
                "bias_sd": f"{error.std(ddof=1) / np.sqrt(trials):.5f}",
                "rms": f"{np.sqrt((error**2).mean()):.5f}",
            }


def main() -> None:
    """Measure every case and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    trials: int = parser.parse_args().trials
    rows = (
        row
        for name, ideal, rotations in ideals()
        for noise, faults in noises()
        for row in measure(name, ideal, noise, replace(faults, rotations=rotations), trials)
    )
    write_row_by_row("bias.csv", rows)


if __name__ == "__main__":
    main()
