"""Coverage of intervals: how often they contain the ideal value, on synthetic circuits with a known ideal output.

``python -m benchmarks.coverage`` writes benchmarks/results/coverage.csv, one row per case and observable, in about a
minute on one core; docs/uncertainty.md shows it. Each trial draws new shots from the same noisy distribution.
``method="paper"`` gets the flip rates of the noise, and ``method="circuit"`` its fault patterns. "bare" is
``guard=False``: the fitted strings without a decision. Nothing here was used to choose a constant.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import qcluster as qc
from benchmarks.data import write_row_by_row
from qcluster.core.counts.bits import unpack
from qcluster.core.counts.observables import diagonal
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.uncertainty.interval import intervals

Floats = NDArray[np.float64]
Mitigate = Callable[[qc.Distribution], qc.Mitigation]


def strings(n_bits: int, weights: dict[str, float]) -> Floats:
    """Return the probability vector of a few weighted strings, ``(2^n,)``."""
    vector = np.zeros(1 << n_bits)
    for text, weight in weights.items():
        vector[int(text, 2)] = weight
    return vector / vector.sum()


def apply_flips(ideal: Floats, rates: Floats, background: float = 0.0) -> Floats:
    """Apply independent flips with ``(n, 2)`` rates to a distribution, and mix in a share of uniform noise."""
    noisy = ideal
    for bit, (up, down) in enumerate(rates):
        pairs = noisy.reshape(-1, 2, 1 << bit)
        low, high = pairs[:, 0], pairs[:, 1]
        noisy = np.stack([low * (1 - up) + high * down, low * up + high * (1 - down)], axis=1).ravel()
    return (1 - background) * noisy + background / len(noisy)


def apply_faults(ideal: Floats, faults: FaultMasks) -> Floats:
    """Apply the faults of a circuit to a distribution."""
    from qcluster.core.noise.kernel import Kernel

    return Kernel.of(faults).forward(ideal)


def chain(n_bits: int, rate: float) -> FaultMasks:
    """Return the faults of a chain of gates, each of which flips all later bits, with readout errors of 2 %."""
    masks = np.array([[(1 << n_bits) - (1 << gate)] for gate in range(1, n_bits)], dtype=np.uint64)
    return FaultMasks(n_bits, masks, np.full(len(masks), rate), np.zeros(len(masks)), np.full((n_bits, 2), 0.02))


def cases() -> Iterator[tuple[str, str, int, Floats, Floats, Mitigate]]:
    """Yield name, method, shots, ideal and noisy distribution, and the function that mitigates."""
    rng = np.random.default_rng(20261125)
    uneven = np.stack([rng.uniform(0.01, 0.05, 8), rng.uniform(0.03, 0.12, 8)], axis=1)
    ghz = strings(8, {"0" * 8: 1, "1" * 8: 1})
    near = strings(8, {"0" * 8: 0.6, "0" * 7 + "1": 0.25, "1" * 8: 0.15})
    wide = strings(5, {format(1 << bit, "05b"): 1 for bit in range(5)})
    peaked = np.sort(rng.exponential(size=64)) ** 3
    broad = rng.exponential(size=256)
    few = (
        ("ghz, 5% flips", ghz, apply_flips(ghz, np.full((8, 2), 0.05))),
        ("ghz, uneven flips, 10% lost", ghz, apply_flips(ghz, uneven, 0.1)),
        ("two strings one bit apart", near, apply_flips(near, np.full((8, 2), 0.05))),
        ("w, 5 bits", wide, apply_flips(wide, np.full((5, 2), 0.05))),
    )
    for shots in (1000, 8000):
        for name, ideal, noisy in few:
            yield name, "mixture", shots, ideal, noisy, qc.mitigate
            yield name, "bare", shots, ideal, noisy, partial(qc.mitigate, guard=False)
        for name, ideal, n in (("peaked, 6 bits", peaked, 6), ("Porter-Thomas, 8 bits", broad, 8)):
            ideal = ideal / ideal.sum()
            yield name, "mixture", shots, ideal, apply_flips(ideal, np.full((n, 2), 0.04)), qc.mitigate
        paper: Mitigate = lambda counts: qc.mitigate(counts, 0.05, method="paper")  # noqa: E731
        yield "ghz, 5% flips", "paper", shots, ghz, apply_flips(ghz, np.full((8, 2), 0.05)), paper
        faults = chain(8, 0.03)
        circuit: Mitigate = lambda counts: qc.mitigate(counts, faults)  # noqa: B023, E731
        yield "ghz, chain of faults", "circuit", shots, ghz, apply_faults(ghz, faults), circuit
        smooth = np.sort(broad)[::-1] ** 2
        smooth = smooth / smooth.sum()
        yield "broad, chain of faults", "circuit", shots, smooth, apply_faults(smooth, faults), circuit


def measure(
    name: str, method: str, shots: int, ideal: Floats, noisy: Floats, mitigate: Mitigate, trials: int
) -> Iterator[dict[str, Any]]:
    """Run one case and yield a row for each observable."""
    n = len(ideal).bit_length() - 1
    top = format(int(np.argmax(ideal)), f"0{n}b")
    observables = {f"P({top})": top, "parity": "Z" * n, "Z of bit 0": "I" * (n - 1) + "Z"}
    every = np.arange(1 << n, dtype=np.uint64)[:, None]
    bits = unpack(every, n)
    true = np.array([ideal @ diagonal(one, n).values(every) for one in observables.values()])
    rng, seen = np.random.default_rng([shots, *name.encode()]), []
    for _ in range(trials):
        counts = qc.Distribution(bits, rng.multinomial(shots, noisy / noisy.sum()))
        fixed = mitigate(counts)
        labels = list(observables.values())
        both = fixed.intervals(labels), intervals(counts, counts, None, labels)
        seen.append([[(one.value, one.low, one.high) for one in part] for part in both] + [[(fixed.applied,) * 3] * 3])
    values = np.array(seen, dtype=np.float64)
    error = values[:, :2, :, 0] - true
    covered = (values[:, :2, :, 1] <= true + 1e-9) & (true - 1e-9 <= values[:, :2, :, 2])
    for k, label in enumerate(observables):
        yield {
            "case": name,
            "method": method,
            "n_bits": n,
            "shots": shots,
            "observable": label,
            "trials": trials,
            "applied": f"{values[:, 2, 0, 0].mean():.2f}",
            "coverage": f"{covered[:, 0, k].mean():.3f}",
            "coverage_of_raw": f"{covered[:, 1, k].mean():.3f}",
            "median_width": f"{np.median(values[:, 0, k, 2] - values[:, 0, k, 1]):.4f}",
            "median_error": f"{np.median(np.abs(error[:, 0, k])):.4f}",
            "median_error_raw": f"{np.median(np.abs(error[:, 1, k])):.4f}",
            "bias": f"{error[:, 0, k].mean():.4f}",
        }


def main() -> None:
    """Measure all cases and write the table; a table with rows of different versions would compare nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=40)
    trials: int = parser.parse_args().trials
    write_row_by_row("coverage.csv", (row for case in cases() for row in measure(*case, trials=trials)))


if __name__ == "__main__":
    main()
