"""Circuit-aware mitigation of structured circuits with five times the noise of a machine, and of wide circuits.

Run from the repository: python -m benchmarks.circuit_noisy
Writes benchmarks/results/circuit_noisy.csv. GHZ, Bernstein-Vazirani (ancilla measured) and random CX circuits with 2 to
8 outcomes on FakeTorino and FakeBrisbane, simulated as Clifford circuits under the Pauli twirl of the noise, 8192 shots
in 8 twirls. "Stale" multiplies all figures of the calibration by lognormal factors of width 0.5. Time and memory are
those of one call of `mitigate`, including the computation of the fault patterns.
"""

import dataclasses
import tracemalloc
from collections.abc import Iterator
from functools import partial

import numpy as np
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime.fake_provider import FakeBrisbane, FakeTorino

import qcluster as qc
from benchmarks.chain import ghz
from benchmarks.circuit_machines import bernstein_vazirani, stale
from benchmarks.data import write_row_by_row
from benchmarks.timing import timed
from qcluster.device import Calibration
from qcluster.device.execute import run_request
from qcluster.device.machines.machine import find_machine
from qcluster.device.prepare import Options, prepare


def random_cx(n: int, superposed: int, rng: np.random.Generator) -> QuantumCircuit:
    """Build a circuit with 2^superposed equally likely outcomes, spread by 2n CX gates between neighbours."""
    circuit = QuantumCircuit(n)
    circuit.x(np.flatnonzero(rng.random(n) < 0.5))
    circuit.h(rng.choice(n, superposed, replace=False))
    for _ in range(2 * n):
        first = int(rng.integers(n - 1))
        circuit.cx(*((first, first + 1) if rng.random() < 0.5 else (first + 1, first)))
    return circuit


def worse(calibration: Calibration, factor: float) -> Calibration:
    """Return a calibration with errors multiplied by a factor; failed gates and qubits stay so."""

    def scaled(values: np.ndarray, most: float) -> np.ndarray:
        return np.where(values < 1, np.minimum(factor * values, most), values)

    return dataclasses.replace(
        calibration,
        t1=calibration.t1 / factor,
        t2=calibration.t2 / factor,
        readout=scaled(calibration.readout, 0.4),
        errors_1q=scaled(calibration.errors_1q, 0.3),
        errors_2q=scaled(calibration.errors_2q, 0.5),
    )


def cases() -> Iterator[tuple[str, float, QuantumCircuit]]:
    """Yield the name, the noise factor and the circuit of each case."""
    rng = np.random.default_rng(8)
    yield "ghz", 5.0, ghz(12)
    yield "bv", 5.0, bernstein_vazirani(11, rng)
    for superposed in (1, 2, 3):
        for n in (8, 10):
            yield "cx", 5.0, random_cx(n, superposed, rng)
    for n in (20, 40, 60):
        yield "ghz", 1.0, ghz(n)
        yield "bv", 1.0, bernstein_vazirani(n, rng)


def ideal_of(circuit: QuantumCircuit) -> qc.Distribution:
    """Return the ideal output of a Clifford circuit: 400 shots, which show all outcomes, with equal weights."""
    seen = qc.Distribution.of(AerSimulator(method="stabilizer").run(circuit, shots=400).result().get_counts())
    return qc.Distribution(seen.bits, np.ones(seen.n_outcomes))


def judge(name: str, noise: float, circuit: QuantumCircuit, backend: object) -> dict[str, object]:
    """Run one circuit, mitigate it, and return its row of the table."""
    published = find_machine(backend)
    machine = dataclasses.replace(published, calibration=worse(published.calibration, noise))
    options = Options(shots=8192, twirls=8, simulation="stabilizer")
    (run,) = run_request(prepare([circuit], machine, options, circuit.num_qubits), machine)
    fixed, seconds = timed(partial(qc.mitigate, dataclasses.replace(run)))
    tracemalloc.start()
    qc.mitigate(dataclasses.replace(run))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    aged = dataclasses.replace(run, calibration=stale(run.calibration, np.random.default_rng(3)))
    ideal = ideal_of(circuit)
    answers = {
        "raw": run.counts,
        "mitigate": fixed.distribution,
        "stale": qc.mitigate(aged).distribution,
        "counts_alone": qc.mitigate(run.counts).distribution,
    }
    return {
        "machine": machine.name,
        "noise": noise,
        "circuit": name,
        "qubits": circuit.num_qubits,
        "outcomes": ideal.n_outcomes,
        **{key: f"{qc.metrics.hellinger_fidelity(answer, ideal):.4f}" for key, answer in answers.items()},
        "method": fixed.method,
        "cpu_seconds": f"{seconds:.1f}",
        "peak_mb": round(peak / 1e6),
        "reason": fixed.reason,
    }


def rows() -> Iterator[dict[str, object]]:
    for backend in (FakeTorino(), FakeBrisbane()):
        for name, noise, bare in cases():
            circuit = bare.copy(name=name)
            circuit.measure_all()
            yield judge(name, noise, circuit, backend)


if __name__ == "__main__":
    write_row_by_row("circuit_noisy.csv", rows())
