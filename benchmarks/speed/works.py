"""What is timed, and on which counts: for `compare`."""

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
"""Most distinct strings for methods whose cost grows faster: beyond, a run would take minutes."""


@dataclass(frozen=True)
class Load:
    """One set of counts."""

    name: str
    """What it is called."""
    counts: qc.Distribution
    """The counts."""
    rate: float = 0.05
    """Flips per bit, for the methods that must be told."""
    record: dict[str, Any] | None = None
    """The recorded circuit, where there is one."""


def synthetic(n_bits: int, shots: int, rate: float, strings: int = 3, seed: int = 5) -> qc.Distribution:
    """Draw strings, send them `shots` times, and flip bits."""
    rng = np.random.default_rng([seed, n_bits, shots])
    sent = rng.random((strings, n_bits)) < 0.5
    words = []
    for start in range(0, shots, 1 << 16):
        some = sent[rng.integers(strings, size=min(1 << 16, shots - start))]
        words.append(some ^ (rng.random(some.shape, dtype=np.float32) < rate))
    bits = np.concatenate(words)
    return qc.Distribution(bits, np.ones(len(bits)))


def loads(wide: bool = True) -> Iterator[Load]:
    """Give the recorded and the synthetic sets of counts."""
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
    """Prepare the methods for one set of counts; what is not timed (calibration, parsing) is done here."""
    held = load.counts
    shots = BitArray.from_bool_array(held.bits, order="little").array
    shots = np.repeat(shots, held.weights.astype(int), axis=0)
    shots = shots[np.random.default_rng(0).permutation(len(shots))]
    array = BitArray(shots, held.n_bits)
    void = np.ascontiguousarray(shots).view(f"V{shots.shape[1]}").ravel()
    counts = held.to_counts() if held.n_outcomes <= max(MOST.values()) else {}
    found: dict[str, Work] = {
        "unique": lambda: np.unique(void, return_counts=True),
        "get_counts": lambda: array.get_counts(),
        "intake": lambda: qc.Distribution.of(array),
        "paper": lambda: qc.mitigate(held, load.rate, method="paper"),
        "mixture": lambda: qc.mitigate(held),
        "strings": lambda: fit_mixture(held.bits, held.weights),
        "all": lambda: qc.mitigate(array),
        "hammer": lambda: hammer(held),
        "mthree": m3(counts, held.n_bits),
        "naive": lambda: naive_q_cluster(counts, load.rate),
    }
    if load.record is not None and held.n_outcomes <= MOST["circuit"]:
        found["circuit"] = circuit(load)
    return {name: work for name, work in found.items() if held.n_outcomes <= MOST.get(name, held.n_outcomes)}


def m3(counts: dict[str, int], width: int) -> Work:
    """Prepare mthree with a calibration of 2% flips a bit given beforehand."""
    import mthree

    mitigator = mthree.M3Mitigation()
    mitigator.cals_from_matrices([np.array([[0.98, 0.02], [0.02, 0.98]], dtype=np.float32)] * width)
    return lambda: mitigator.apply_correction(counts, list(range(width)))


def circuit(load: Load) -> Work:
    """Prepare mitigation under the compiled circuit's faults, the faults found beforehand."""
    assert load.record is not None
    (faults,) = (one.run.faults for one in runs("ibm_brussels_2025") if one.run and one.identity == load.record["id"])
    return lambda: qc.mitigate(load.counts, faults)
