"""Circuit-aware mitigation on simulated machines: fidelity raw and mitigated, with a fresh and a stale calibration.

Run from the repository: python -m benchmarks.circuit_machines [qubits ...]     (default: 6 8)
Writes benchmarks/results/circuit_machines.csv. FakeTorino, FakeBrisbane and FakeFez; QAOA p = 1-3, Trotter, VQE-like,
random dense, GHZ, Bernstein-Vazirani and W circuits, compiled at level 3, 8192 shots in 4 twirls, scheduled. "Stale":
every figure of the calibration times a lognormal factor of width 0.5. The first 1000 shots' worth is judged as well.
"""

import csv
import dataclasses
import sys
from time import perf_counter

import numpy as np
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector
from qiskit_ibm_runtime.fake_provider import FakeBrisbane, FakeFez, FakeTorino

import qcluster as qc
from benchmarks.data import RESULTS
from qcluster.core.circuit import mitigate_circuit
from qcluster.device import Calibration
from qcluster.device.execute import execute
from qcluster.device.faults import run_faults

SHOTS, TWIRLS = (1000, 8192), 4
GUARD = ("kind", "predicted", "observed", "seconds")
MACHINES = {"torino": FakeTorino, "brisbane": FakeBrisbane, "fez": FakeFez}


def qaoa(n: int, p: int, rng: np.random.Generator) -> QuantumCircuit:
    """Max-cut by a linear ramp: a weighted ring with chords for 6 qubits, a chain for more.

    Chords of wider ones are routed over so many further qubits that the density matrix takes hours.
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
    """Three steps of a spin chain from the Neel state."""
    circuit = QuantumCircuit(n)
    circuit.x(range(0, n, 2))
    for _ in range(3):
        for i in [*range(0, n - 1, 2), *range(1, n - 1, 2)]:
            circuit.rzz(0.4, i, i + 1)
            circuit.rxx(0.4, i, i + 1)
        circuit.rz(0.3, range(n))
    return circuit


def vqe(n: int, rng: np.random.Generator) -> QuantumCircuit:
    """Two layers of small ry and a ladder of cx."""
    circuit = QuantumCircuit(n)
    for layer in range(3):
        for q in range(n):
            circuit.ry(rng.normal(0, 0.7), q)
        for q in range(n - 1 if layer < 2 else 0):
            circuit.cx(q, q + 1)
    return circuit


def dense(n: int, depth: int, rng: np.random.Generator) -> QuantumCircuit:
    """Random one-qubit gates and a brick wall of cz."""
    circuit = QuantumCircuit(n)
    for layer in range(depth + 1):
        for q in range(n):
            circuit.u(*rng.uniform(0, 2 * np.pi, 3), q)
        for q in range(layer % 2, n - 1 if layer < depth else 0, 2):
            circuit.cz(q, q + 1)
    return circuit


def structured(kind: str, n: int, rng: np.random.Generator) -> QuantumCircuit:
    """GHZ, Bernstein-Vazirani (ancilla measured, back in |1>) or W."""
    circuit = QuantumCircuit(n)
    if kind == "ghz":
        circuit.h(0)
        for i in range(n - 1):
            circuit.cx(i, i + 1)
    elif kind == "bv":
        circuit.x(n - 1)
        circuit.h(range(n))
        for i in np.flatnonzero(rng.random(n - 1) < 0.6):
            circuit.cx(int(i), n - 1)
        circuit.h(range(n))
    else:
        circuit.x(0)
        for i in range(n - 1):
            circuit.cry(2 * np.arccos(np.sqrt(1 / (n - i))), i, i + 1)
            circuit.cx(i + 1, i)
    return circuit


def circuits(n: int, seed: int = 0) -> dict[str, QuantumCircuit]:
    """All circuits of a width."""
    rng = np.random.default_rng([n, seed])
    made = {f"qaoa{p}": qaoa(n, p, rng) for p in (1, 2, 3)}
    made |= {"trotter": trotter(n), "vqe": vqe(n, rng), "dense3": dense(n, 3, rng), "dense6": dense(n, 6, rng)}
    return made | {kind: structured(kind, n, rng) for kind in ("ghz", "bv", "w")}


def stale(calibration: Calibration, rng: np.random.Generator) -> Calibration:
    """A calibration of another day: every figure times a lognormal factor; dead places stay dead."""

    def turn(values: np.ndarray, most: float) -> np.ndarray:
        return np.where(values < 1, np.minimum(values * rng.lognormal(0, 0.5, values.shape), most), values)

    return dataclasses.replace(
        calibration,
        t1=calibration.t1 * rng.lognormal(0, 0.5, calibration.t1.shape),
        t2=calibration.t2 * rng.lognormal(0, 0.5, calibration.t2.shape),
        readout=turn(calibration.readout, 0.45),
        errors_1q=turn(calibration.errors_1q, 0.5),
        errors_2q=turn(calibration.errors_2q, 0.7),
    )


def main() -> None:
    sizes = [int(size) for size in sys.argv[1:]] or [6, 8]
    with (RESULTS / "circuit_machines.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["machine", "qubits", "circuit", "shots", "calibration", "raw", "mitigated", *GUARD])
        for machine, make in MACHINES.items():
            backend = make()
            for n in sizes:
                for name, bare in circuits(n).items():
                    ideal = Statevector(bare).probabilities_dict()
                    for shots in SHOTS:
                        circuit = bare.copy(name=name)
                        circuit.measure_all()
                        (run,) = execute([circuit], backend, shots=shots, twirls=TWIRLS, seed=shots)
                        for age in ("fresh", "stale"):
                            known = run.calibration
                            if age == "stale":
                                known = stale(known, np.random.default_rng(3))
                            start = perf_counter()
                            faults = run_faults(dataclasses.replace(run, calibration=known), dt=backend.dt)
                            fit = mitigate_circuit(run.counts, faults)
                            seconds = perf_counter() - start
                            scores = [
                                qc.metrics.hellinger_fidelity(run.counts, ideal),
                                qc.metrics.hellinger_fidelity(fit.distribution, ideal),
                            ]
                            figures = [f"{v:.4f}" for v in scores]
                            guard = [f"{fit.predicted_raw:.3f}", f"{fit.observed_raw:.3f}", f"{seconds:.2f}"]
                            writer.writerow([machine, n, name, shots, age, *figures, fit.kind, *guard])
                            file.flush()


if __name__ == "__main__":
    main()
