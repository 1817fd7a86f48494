"""Mitigation with reference circuits, on machines whose noise differs from the calibration, and on recorded counts.

Run from the repository: python -m benchmarks.reference [recorded | table | fake_torino ...]
Writes benchmarks/results/reference_hidden.csv and reference_recorded.csv.

In the hidden noise of the simulated machine, every published rate is multiplied by a lognormal factor of width 1, one
used pair is five times worse, and two used qubits have a tenth of their T1. After each two-qubit gate there is an
over-rotation of .03 about ZZ and, as crosstalk, one of .06 between each of its qubits and every other used qubit that
is coupled to it; no calibration shows these, and both are twirled with the gate. All methods get the same 8192 shots in
8 twirls, and the published calibration. Three columns are upper bounds: "true" is `mitigate(run)` with the true
calibration and without a reference, "exact" mitigates counts that are drawn through the faults at their measured rates
and no other noise, and "noiseless" is the fidelity of the same number of shots without noise.
"""

import dataclasses
import sys
from collections.abc import Callable, Iterator

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction
from qiskit.circuit.library import RZZGate, UnitaryGate
from qiskit.quantum_info import Statevector
from qiskit.synthesis.qft import synth_qft_full

import qcluster as qc
from benchmarks.chain import ghz
from benchmarks.data import read_rows, records, write_row_by_row
from qcluster.core.counts.bits import index_bits
from qcluster.core.noise.kernel import Kernel
from qcluster.device.circuits.timeline import census
from qcluster.device.local import simulate_request
from qcluster.device.machines.machine import Machine, find_machine
from qcluster.device.prepare import Options, prepare
from qcluster.device.run import Run, read_runs

MACHINES = ("fake_torino", "fake_fez", "fake_brisbane")
HIDDEN = "reference_hidden.csv"
WIDTH = 1.0
OVER, CROSS = 0.03, 0.06
METHODS: dict[str, Callable[[Run], qc.Distribution]] = {
    "raw": lambda run: run.counts,
    "m3": lambda run: qc.baselines.m3(run.counts, run.calibration.readout[run.profile.measured]),
    "hammer": lambda run: qc.baselines.hammer(run.counts),
    "dem": lambda run: qc.baselines.dem(run.counts, run.reference.counts, run.reference.expected),
    "counts": lambda run: qc.mitigate(run.counts).distribution,
    "run": lambda run: qc.mitigate(dataclasses.replace(run, reference=None)).distribution,
    "measured": lambda run: measured(run),
    "reference": lambda run: qc.mitigate(run).distribution,
}


def measured(run: Run) -> qc.Distribution:
    """Mitigate with the counts of circuit and reference alone; return the raw counts if the reference is refused."""
    noise = run.reference.noise
    return run.counts if noise.refusal else qc.mitigate(run.counts, noise=noise).distribution


def bv(n: int) -> QuantumCircuit:
    """Bernstein-Vazirani with every other bit set; the ancilla is measured as well, and is 0."""
    circuit = QuantumCircuit(n)
    circuit.x(n - 1)
    circuit.h(range(n))
    for i in range(0, n - 1, 2):
        circuit.cx(i, n - 1)
    circuit.h(range(n))
    circuit.x(n - 1)
    return circuit


def w_state(n: int) -> QuantumCircuit:
    circuit = QuantumCircuit(n)
    circuit.x(0)
    for i in range(n - 1):
        angle = np.arccos(np.sqrt(1 / (n - i)))
        circuit.ry(angle, i + 1)
        circuit.cz(i, i + 1)
        circuit.ry(-angle, i + 1)
        circuit.cx(i + 1, i)
    return circuit


def qpe(n: int, phase: float) -> QuantumCircuit:
    circuit = QuantumCircuit(n + 1)
    circuit.x(n)
    circuit.h(range(n))
    for i in range(n):
        circuit.cp(2 * np.pi * phase * 2**i, i, n)
    circuit.compose(synth_qft_full(n).inverse(), range(n), inplace=True)
    return circuit


def grover(n: int, rounds: int) -> QuantumCircuit:
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for _ in range(rounds):
        for flip in (False, True):
            if flip:
                circuit.h(range(n))
                circuit.x(range(n))
            circuit.h(n - 1)
            circuit.mcx(list(range(n - 1)), n - 1)
            circuit.h(n - 1)
            if flip:
                circuit.x(range(n))
                circuit.h(range(n))
    return circuit


def qaoa(n: int, layers: int, seed: int) -> QuantumCircuit:
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for _ in range(layers):
        for i in range(n - 1):
            circuit.rzz(rng.uniform(0.4, 1.0), i, i + 1)
        circuit.rx(rng.uniform(0.6, 1.2), range(n))
    return circuit


def trotter(n: int, steps: int) -> QuantumCircuit:
    circuit = QuantumCircuit(n)
    circuit.x([0, n // 2])
    for _ in range(steps):
        for i in range(n - 1):
            circuit.rxx(0.4, i, i + 1)
            circuit.rzz(0.3, i, i + 1)
        circuit.rx(0.3, range(n))
    return circuit


def vqe(n: int, seed: int) -> QuantumCircuit:
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n)
    for _ in range(2):
        for i in range(n):
            circuit.ry(rng.uniform(-0.8, 0.8), i)
        for i in range(n - 1):
            circuit.cx(i, i + 1)
    for i in range(n):
        circuit.ry(rng.uniform(-0.8, 0.8), i)
    return circuit


def cases() -> Iterator[tuple[str, QuantumCircuit]]:
    """Yield families and circuits of 3 to 10 bits."""
    yield from (("ghz", ghz(5)), ("ghz", ghz(9)), ("bv", bv(6)), ("bv", bv(9)), ("w", w_state(5)), ("w", w_state(8)))
    yield from (("qpe", qpe(4, 5 / 16)), ("qpe", qpe(5, 0.3)), ("grover", grover(3, 1)), ("grover", grover(4, 2)))
    yield from (("qaoa", qaoa(6, 1, 1)), ("qaoa", qaoa(6, 2, 2)), ("qaoa", qaoa(8, 3, 3)), ("qaoa", qaoa(10, 1, 4)))
    yield from (("trotter", trotter(5, 2)), ("trotter", trotter(7, 3)), ("vqe", vqe(5, 1)), ("vqe", vqe(8, 2)))


def ideal_of(circuit: QuantumCircuit) -> qc.Distribution:
    p = Statevector(circuit).probabilities()
    return qc.Distribution(index_bits(np.arange(len(p)), circuit.num_qubits), np.where(p > 1e-12, p, 0.0))


def hidden(machine: Machine, pairs: list[tuple[int, ...]], rng: np.random.Generator) -> Machine:
    """Return the machine with its hidden true calibration."""
    known = machine.calibration

    def scaled(values: np.ndarray, most: float) -> np.ndarray:
        return np.where(values < 1, np.minimum(values * rng.lognormal(0, WIDTH, values.shape), most), values)

    errors, t1 = scaled(known.errors_2q, 0.3), known.t1 / rng.lognormal(0, WIDTH, known.t1.shape)
    if pairs:
        worse = pairs[int(rng.integers(len(pairs)))]
        at = [tuple(sorted(pair)) == tuple(sorted(worse)) for pair in known.couplings.tolist()]
        errors[:, at] = np.minimum(errors[:, at] * 5, 0.3)
        t1[rng.permutation(sorted({q for pair in pairs for q in pair}))[:2]] /= 10
    truth = dataclasses.replace(
        known,
        t1=t1,
        t2=np.minimum(known.t2 / rng.lognormal(0, WIDTH, known.t2.shape), 2 * t1),
        readout=scaled(known.readout, 0.3),
        errors_1q=scaled(known.errors_1q, 0.05),
        errors_2q=errors,
    )
    return dataclasses.replace(machine, calibration=truth)


def over_rotated(circuit: QuantumCircuit, couplings: np.ndarray) -> QuantumCircuit:
    """Return a circuit whose two-qubit gates over-rotate, and also rotate the neighbours of their qubits."""
    out, used = circuit.copy_empty_like(), census(circuit)[1]
    coupled = {frozenset(pair) for pair in couplings.tolist()}
    number = {qubit: i for i, qubit in enumerate(circuit.qubits)}
    over, cross = (UnitaryGate(RZZGate(angle).to_matrix()) for angle in (OVER, CROSS))  # not gates of the noise model
    for item in circuit.data:
        out._append(item)
        if len(item.qubits) != 2 or item.name == "barrier":
            continue
        out._append(CircuitInstruction(over, item.qubits))
        for qubit in item.qubits:
            others = [other for other in sorted(used) if {number[qubit], other} in coupled]
            for other in others:
                if circuit.qubits[other] not in item.qubits:
                    out._append(CircuitInstruction(cross, (qubit, circuit.qubits[other])))
    return out


def run_hidden(circuit: QuantumCircuit, machine: Machine, seed: int) -> tuple[Run, Machine]:
    """Run a circuit with its reference on the hidden machine; return the run, with the published calibration, and the
    machine."""
    if not circuit.num_clbits:
        circuit = circuit.measure_all(inplace=False)
    options = Options(shots=8192, twirls=8, reference=True, simulation="density_matrix", optimization_level=3)
    plan = prepare([circuit], machine, options, seed)
    pairs = [qubits for (_, qubits) in plan.prepared[0].profile.gates if len(qubits) == 2]
    truth = hidden(machine, pairs, np.random.default_rng([seed, 5]))
    noisy = tuple(
        dataclasses.replace(
            part,
            circuits=tuple(over_rotated(each, machine.calibration.couplings) for each in part.circuits),
        )
        for part in plan.prepared
    )
    counts = simulate_request(dataclasses.replace(plan, prepared=noisy, calibration=truth.calibration), truth)
    (run,) = read_runs(plan, counts)
    return run, truth


def scores(run: Run, truth: Machine, ideal: qc.Distribution, seed: int) -> dict[str, float]:
    """Return the Hellinger fidelities of all methods and of the upper bounds."""
    rng = np.random.default_rng([seed, 6])
    drawn = rng.multinomial(round(run.shots), ideal.probabilities)
    answers = {name: method(run) for name, method in METHODS.items()}
    known = dataclasses.replace(run, reference=None, calibration=truth.calibration)
    kernel = Kernel.of(run.faults)
    noisy = kernel.forward(kernel.index.vector(ideal.words, ideal.probabilities))
    shots = rng.multinomial(round(run.shots), noisy / noisy.sum())
    read = qc.Distribution(index_bits(np.arange(kernel.size), ideal.n_bits), shots)
    exact = qc.mitigate(read, run.faults).distribution
    answers |= {"true": qc.mitigate(known).distribution, "exact": exact}
    answers["noiseless"] = qc.Distribution(ideal.bits, drawn)
    return {name: qc.metrics.hellinger_fidelity(answer, ideal) for name, answer in answers.items()}


def study(machines: tuple[str, ...]) -> Iterator[dict[str, object]]:
    """Yield a row for each circuit and machine."""
    for name in machines:
        machine = find_machine(name)
        for seed, (family, circuit) in enumerate(cases()):
            ideal, (run, truth) = ideal_of(circuit), run_hidden(circuit, machine, seed)
            row: dict[str, object] = {"machine": name, "family": family, "bits": circuit.num_qubits}
            row |= {key: f"{value:.4f}" for key, value in scores(run, truth, ideal, seed).items()}
            row["survival"] = f"{run.reference.noise.survival:.3f}"
            row["calibrated"] = f"{run.reference.learned.survival:.3f}"
            yield row | {"verdict": qc.mitigate(run).reason}


FAMILIES = {
    "ghz": "GHZ", "bv": "Bernstein-Vazirani", "w": "W", "qpe": "phase estimation", "grover": "Grover",
    "qaoa": "QAOA", "trotter": "Trotter", "vqe": "VQE-like",
}  # fmt: skip
"""Names of the families in the documentation."""
SCORED = (*METHODS, "true", "noiseless")


HEAD = (
    *("", "circuits", "raw", "M3", "HAMMER", "DEM", "counts", "run", "counts, reference's counts"),
    *("run with reference", "truth known", "no noise"),
)
"""Column heads of the table in the documentation, in the order of `SCORED`."""


def by_family(rows: list[dict[str, str]]) -> list[list[str]]:
    """Return the lines of the table in the documentation."""
    scored = {key: np.array([float(row[key]) for row in rows]) for key in SCORED}
    family = np.array([row["family"] for row in rows])
    deep = np.array([row["machine"] == "fake_brisbane" for row in rows])
    parts = {name: family == key for key, name in FAMILIES.items()}
    parts |= {"FakeTorino, FakeFez": ~deep, "FakeBrisbane": deep, "all": np.ones(len(rows), dtype=bool)}
    return [
        [name, str(mine.sum()), *(_cell(scored[key][mine], scored["raw"][mine]) for key in SCORED)]
        for name, mine in parts.items()
    ]


def summarise() -> None:
    """Print the table, the share of the loss recovered on broad outputs, and the runs in which another method is
    ahead."""
    rows = read_rows(HIDDEN)
    for line in by_family(rows):
        print(f"| {' | '.join(line)} |")
    scored = {key: np.array([float(row[key]) for row in rows]) for key in (*SCORED, "exact")}
    family = np.array([row["family"] for row in rows])
    broad = np.isin(family, ("qaoa", "trotter", "vqe")) & np.array([int(row["bits"]) >= 6 for row in rows])
    lost = {key: 1 - value[broad].mean() for key, value in scored.items()}
    print("won back on broad outputs:", *(f"{key} {1 - lost[key] / lost['raw']:.0%}" for key in lost))
    for row in rows:
        best = max(METHODS, key=lambda key: float(row[key]))
        if float(row[best]) > float(row["reference"]) + 0.005:
            names = row["machine"], row["family"], row["bits"]
            print(*names, f"{best} {row[best]}, reference {row['reference']}, which kept {row['survival']}")


def _cell(fidelity: np.ndarray, raw: np.ndarray) -> str:
    """Format the mean and, in brackets, the number of harmed runs."""
    mean, harmed = f"{fidelity.mean():.3f}".removeprefix("0"), int((fidelity < raw - 0.02).sum())
    return f"{mean} ({harmed})" if harmed else mean


def recorded() -> Iterator[dict[str, object]]:
    """Yield a row for each recorded experiment of arXiv:2501.01953."""
    by_id = {record["id"]: record for record in records("dem_2025_dev.jsonl.gz")}
    for name, record in by_id.items():
        if name.endswith("-estimation"):
            continue
        reference = by_id[f"{name}-estimation"]
        (expected,) = reference["ideal"]
        ideal, noise = qc.Distribution.of(record["ideal"]), qc.MeasuredNoise(reference["counts"], expected)
        answers = {
            "raw": record["counts"],
            "hammer": qc.baselines.hammer(record["counts"]),
            "dem": qc.baselines.dem(record["counts"], reference["counts"], expected),
            "counts": qc.mitigate(record["counts"]).distribution,
            "measured": qc.mitigate(record["counts"], noise=noise).distribution,
        }
        fidelities = {key: f"{qc.metrics.hellinger_fidelity(answer, ideal):.4f}" for key, answer in answers.items()}
        yield {"experiment": name, "bits": record["n"], "shots": record["shots"], **fidelities}


if __name__ == "__main__":
    if sys.argv[1:] == ["recorded"]:
        write_row_by_row("reference_recorded.csv", recorded())
    else:
        if sys.argv[1:] != ["table"]:
            write_row_by_row(HIDDEN, study(tuple(sys.argv[1:]) or MACHINES))
        summarise()
