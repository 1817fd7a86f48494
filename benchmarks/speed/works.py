"""Methods and sets of counts that `benchmarks.speed.compare` times."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from qiskit.primitives import BitArray

import qcluster as qc
from benchmarks.data import DATA, brussels, records, runs
from benchmarks.speed.naive import naive_q_cluster
from qcluster.baselines.hammer import hammer
from qcluster.core.sparse.fit import fit_mixture

Work = Callable[[], Any]

MOST = {"hammer": 40_000, "mthree": 15_000, "naive": 15_000, "circuit": 2_000}
"""Most distinct strings for methods whose cost grows faster; with more, a run would take minutes."""


@dataclass(frozen=True)
class Load:
    """One set of counts."""

    name: str
    """Name of the row."""
    counts: qc.Distribution
    """The counts."""
    rate: float = 0.05
    """Flip rate per bit, for methods that need it."""
    record: dict[str, Any] | None = None
    """The record with its circuit, if there is one."""


def synthetic(n_bits: int, shots: int, rate: float, strings: int = 3, seed: int = 5) -> qc.Distribution:
    """Draw counts of a few random strings with flipped bits."""
    rng = np.random.default_rng([seed, n_bits, shots])
    sent = rng.random((strings, n_bits)) < 0.5
    words = []
    for start in range(0, shots, 1 << 16):
        some = sent[rng.integers(strings, size=min(1 << 16, shots - start))]
        words.append(some ^ (rng.random(some.shape, dtype=np.float32) < rate))
    bits = np.concatenate(words)
    return qc.Distribution(bits, np.ones(len(bits)))


def loads(wide: bool = True) -> Iterator[Load]:
    """Yield the recorded and the synthetic sets of counts."""
    if DATA.exists():
        for record in brussels():
            yield Load(record["id"], qc.Distribution.of(record["counts"]), record["effective_rate"], record)
        for line in (0, 4, 400, 800):
            record = records("lrqaoa_ibm_dev.jsonl.gz")[line]
            yield Load(f"lrqaoa line {line}", qc.Distribution.of(record["counts"]))
    for n_bits, shots, rate in (
        (5, 1_000, 0.05),
        (16, 10_000, 0.05),
        (32, 30_000, 0.02),
        (64, 100_000, 0.02),
        (127, 10_000, 0.05),
    ):
        yield Load(f"synthetic {n_bits} bits", synthetic(n_bits, shots, rate), rate)
    if wide:
        yield Load("synthetic 156 bits, 300,000 shots", synthetic(156, 300_000, 0.1), 0.1)
        yield Load("synthetic 156 bits, a million shots", synthetic(156, 1_000_000, 0.03), 0.03)


def works(load: Load) -> dict[str, Work]:
    """Return the functions to time on one set of counts; untimed preparation (calibration, parsing) is done here."""
    counts = load.counts
    shots = BitArray.from_bool_array(counts.bits, order="little").array
    shots = np.repeat(shots, counts.weights.astype(int), axis=0)
    shots = shots[np.random.default_rng(0).permutation(len(shots))]
    array = BitArray(shots, counts.n_bits)
    void = np.ascontiguousarray(shots).view(f"V{shots.shape[1]}").ravel()
    as_dict = counts.to_counts() if counts.n_outcomes <= max(MOST.values()) else {}
    functions: dict[str, Work] = {
        "unique": lambda: np.unique(void, return_counts=True),
        "get_counts": lambda: array.get_counts(),
        "intake": lambda: qc.Distribution.of(array),
        "paper": lambda: qc.mitigate(counts, load.rate, method="paper"),
        "mixture": lambda: qc.mitigate(counts),
        "strings": lambda: fit_mixture(counts.bits, counts.weights),
        "all": lambda: qc.mitigate(array),
        "hammer": lambda: hammer(counts),
        "mthree": m3(as_dict, counts.n_bits),
        "naive": lambda: naive_q_cluster(as_dict, load.rate),
    }
    if load.record is not None and counts.n_outcomes <= MOST["circuit"]:
        functions["circuit"] = circuit(load)
    return {name: work for name, work in functions.items() if counts.n_outcomes <= MOST.get(name, counts.n_outcomes)}


def m3(counts: dict[str, int], width: int) -> Work:
    """Return a call of mthree, with a prepared calibration of 2% flips per bit."""
    import mthree

    mitigator = mthree.M3Mitigation()
    mitigator.cals_from_matrices([np.array([[0.98, 0.02], [0.02, 0.98]], dtype=np.float32)] * width)
    return lambda: mitigator.apply_correction(counts, list(range(width)))


def circuit(load: Load) -> Work:
    """Return a call of `mitigate` with the compiled circuit's faults, which are computed beforehand."""
    assert load.record is not None
    (faults,) = (one.run.faults for one in runs("ibm_brussels_2025") if one.run and one.identity == load.record["id"])
    return lambda: qc.mitigate(load.counts, faults)
