"""Circuit-aware mitigation on simulated machines, compared with methods that use only the counts, on the same shots.

Run from the repository: python -m benchmarks.circuit_machines [qubits or machine ...]     (default: 6 8, all)
Adds the missing rows to benchmarks/results/circuit_machines.csv. The machines are FakeTorino, FakeBrisbane and FakeFez.
The circuits are QAOA with p = 1-3, Trotter, VQE-like and random dense circuits and, up to 8 qubits, GHZ,
Bernstein-Vazirani and W, compiled at level 3, twirled (4 copies; 2 for 10 qubits) and scheduled; 8192 shots, and 1000
drawn from these. "Stale" multiplies all figures of the calibration by lognormal factors of width 0.5. "Noiseless" is
the fidelity of the same number of ideal shots.

python -m benchmarks.circuit_machines table     prints means: share of the loss to noise that is recovered, and harm.
"""

import dataclasses
import sys
from collections.abc import Iterator
from functools import partial
from itertools import product

import numpy as np
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector
from qiskit_ibm_runtime.fake_provider import FakeBrisbane, FakeFez, FakeTorino

import qcluster as qc
from benchmarks.chain import ghz
from benchmarks.data import RESULTS, read_rows
from benchmarks.timing import timed
from qcluster.bench.table import Table
from qcluster.device import Calibration
from qcluster.device.execute import execute

SHOTS = (8192, 1000)
MACHINES = {"torino": FakeTorino, "brisbane": FakeBrisbane, "fez": FakeFez}
METHODS = ("mitigate", "counts_alone", "m3", "hammer")
COLUMNS = (
    "machine", "qubits", "circuit", "shots", "calibration", "noiseless", "raw", *METHODS, "method", "cpu_seconds",
    "reason",
)  # fmt: skip
FILE = RESULTS / "circuit_machines.csv"


def qaoa(n: int, p: int, rng: np.random.Generator) -> QuantumCircuit:
    """Max-cut QAOA with a linear ramp, on a weighted ring with chords for 6 qubits and on a chain for more.

    With chords, the routing of wider circuits uses so many additional qubits that the density matrix takes hours.
    """
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    edges = [(i, i + 1) for i in range(n - 1)]
    if n <= 6:
        edges += [(0, n - 1)] + [tuple(rng.choice(n, 2, replace=False)) for _ in range(n // 3)]
    weights = rng.uniform(-1, 1, len(edges))
    for layer in range(p):
        for (i, j), weight in zip(edges, weights, strict=True):
            circuit.rzz(1.6 * weight * (layer + 1) / p, int(i), int(j))
        circuit.rx(1.6 * (1 - layer / p), range(n))
    return circuit


def trotter(n: int) -> QuantumCircuit:
    """Three Trotter steps of a spin chain, from the Neel state."""
    circuit = QuantumCircuit(n)
    circuit.x(range(0, n, 2))
    for _ in range(3):
        for i in [*range(0, n - 1, 2), *range(1, n - 1, 2)]:
            circuit.rzz(0.4, i, i + 1)
            circuit.rxx(0.4, i, i + 1)
        circuit.rz(0.3, range(n))
    return circuit


def vqe(n: int, rng: np.random.Generator) -> QuantumCircuit:
    """Two layers of small RY rotations and a ladder of CX gates, and a final layer of RY."""
    circuit = QuantumCircuit(n)
    for layer in range(3):
        for q in range(n):
            circuit.ry(rng.normal(0, 0.7), q)
        for q in range(n - 1 if layer < 2 else 0):
            circuit.cx(q, q + 1)
    return circuit


def dense(n: int, depth: int, rng: np.random.Generator) -> QuantumCircuit:
    """Random single-qubit gates and a brick wall of CZ gates."""
    circuit = QuantumCircuit(n)
    for layer in range(depth + 1):
        for q in range(n):
            circuit.u(*rng.uniform(0, 2 * np.pi, 3), q)
        for q in range(layer % 2, n - 1 if layer < depth else 0, 2):
            circuit.cz(q, q + 1)
    return circuit


def bernstein_vazirani(n: int, rng: np.random.Generator) -> QuantumCircuit:
    """Bernstein-Vazirani with a random secret; the ancilla is measured too, and ends in |1>."""
    circuit = QuantumCircuit(n)
    circuit.x(n - 1)
    circuit.h(range(n))
    for i in np.flatnonzero(rng.random(n - 1) < 0.6):
        circuit.cx(int(i), n - 1)
    circuit.h(range(n))
    return circuit


def w_state(n: int) -> QuantumCircuit:
    """W state: one excitation in equal superposition over n qubits."""
    circuit = QuantumCircuit(n)
    circuit.x(0)
    for i in range(n - 1):
        circuit.cry(2 * np.arccos(np.sqrt(1 / (n - i))), i, i + 1)
        circuit.cx(i + 1, i)
    return circuit


def circuits(n: int, seed: int = 0) -> dict[str, QuantumCircuit]:
    """Build all circuits of a width, keyed by name."""
    rng = np.random.default_rng([n, seed])
    built = {f"qaoa{p}": qaoa(n, p, rng) for p in (1, 2, 3)}
    built |= {"trotter": trotter(n), "vqe": vqe(n, rng), "dense3": dense(n, 3, rng), "dense6": dense(n, 6, rng)}
    return built | {"ghz": ghz(n), "bv": bernstein_vazirani(n, rng), "w": w_state(n)}


def stale(calibration: Calibration, rng: np.random.Generator) -> Calibration:
    """Return a calibration with every figure multiplied by a lognormal factor; failed gates and qubits stay so."""

    def scaled(values: np.ndarray, most: float) -> np.ndarray:
        return np.where(values < 1, np.minimum(values * rng.lognormal(0, 0.5, values.shape), most), values)

    return dataclasses.replace(
        calibration,
        t1=calibration.t1 * rng.lognormal(0, 0.5, calibration.t1.shape),
        t2=calibration.t2 * rng.lognormal(0, 0.5, calibration.t2.shape),
        readout=scaled(calibration.readout, 0.45),
        errors_1q=scaled(calibration.errors_1q, 0.5),
        errors_2q=scaled(calibration.errors_2q, 0.7),
    )


def fewer(counts: qc.Distribution, shots: int, rng: np.random.Generator) -> qc.Distribution:
    """Draw some of the shots without replacement."""
    drawn = rng.multivariate_hypergeometric(counts.weights.astype(np.int64), shots)
    return qc.Distribution(counts.bits[drawn > 0], drawn[drawn > 0].astype(float))


def judge(run: qc.Run, ideal: np.ndarray, shots: int) -> Iterator[dict[str, object]]:
    """Score one run, mitigated with a fresh and a stale calibration and by the other methods."""
    truth = {f"{i:0{run.profile.n_bits}b}": float(p) for i, p in enumerate(ideal) if p > 0}
    counts = run.counts if shots == run.shots else fewer(run.counts, shots, np.random.default_rng(shots))
    drawn = np.random.default_rng(shots).multinomial(shots, ideal / ideal.sum(), size=8) / shots
    without_circuit = {
        "raw": counts,
        "counts_alone": qc.mitigate(counts).distribution,
        "hammer": qc.baselines.hammer(counts),
    }
    for age in ("fresh", "stale"):
        known = run.calibration if age == "fresh" else stale(run.calibration, np.random.default_rng(3))
        readout = np.repeat(known.readout[run.profile.measured].mean(axis=1, keepdims=True), 2, axis=1)
        fixed, seconds = timed(partial(qc.mitigate, dataclasses.replace(run, calibration=known, counts=counts)))
        answers = without_circuit | {"mitigate": fixed.distribution, "m3": qc.baselines.m3(counts, readout)}
        yield {
            "shots": shots,
            "calibration": age,
            "noiseless": f"{(np.sqrt(drawn * ideal).sum(axis=1) ** 2).mean():.4f}",
            **{name: f"{qc.metrics.hellinger_fidelity(answer, truth):.4f}" for name, answer in answers.items()},
            "method": fixed.method,
            "cpu_seconds": f"{seconds:.2f}",
            "reason": fixed.reason,
        }


def measure(sizes: list[int], machines: list[str]) -> None:
    """Run the missing cases, and write the rows of each as soon as they are ready."""
    table = Table(FILE, COLUMNS)
    done = {(row["machine"], int(row["qubits"]), row["circuit"]) for row in table.rows()}
    for n, machine in product(sizes, machines):
        backend = MACHINES[machine]()
        for name, bare in circuits(n).items():
            if (machine, n, name) in done or (n > 8 and name in ("ghz", "bv", "w")):
                continue
            circuit = bare.copy(name=name)
            circuit.measure_all()
            (run,) = execute([circuit], backend, shots=max(SHOTS), twirls=4 if n <= 8 else 2, seed=n)
            ideal = Statevector(bare).probabilities()
            rows = [row for shots in SHOTS for row in judge(run, ideal, shots)]
            table.append([{"machine": machine, "qubits": n, "circuit": name, **row} for row in rows])


def recovery(fidelity: np.ndarray, raw: np.ndarray, noiseless: np.ndarray) -> tuple[float, float, float]:
    """Return the mean fidelity, the share of the loss to noise that is recovered, and the worst change."""
    gain = fidelity - raw
    return float(fidelity.mean()), float(gain.sum() / (noiseless - raw).sum()), float(gain.min())


def table() -> None:
    """Print how much of the loss to noise each method recovers, by width, shots, calibration and kind of output."""
    print("| qubits | shots | calibration | outputs | noiseless | raw |", " | ".join(METHODS), "|")
    print("|" + "---|" * (6 + len(METHODS)))
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in read_rows(FILE):
        kind = "GHZ, BV, W" if row["circuit"] in ("ghz", "bv", "w") else "broad"
        groups.setdefault((row["qubits"], row["shots"], row["calibration"], kind), []).append(row)
    for group, members in groups.items():
        noiseless, raw = (np.array([float(row[name]) for row in members]) for name in ("noiseless", "raw"))
        cells = []
        for name in METHODS:
            mean, back, worst = recovery(np.array([float(row[name]) for row in members]), raw, noiseless)
            cells.append(f"{mean:.3f}, {back:.0%}, {worst:+.3f}")
        print("|", " | ".join([*group, f"{noiseless.mean():.3f}", f"{raw.mean():.3f}", *cells]), "|")


def main() -> None:
    if sys.argv[1:] == ["table"]:
        table()
    else:
        sizes = [int(word) for word in sys.argv[1:] if word.isdigit()]
        measure(sizes or [6, 8], [word for word in sys.argv[1:] if word in MACHINES] or list(MACHINES))


if __name__ == "__main__":
    main()
