"""Time a Pauli twirl for all strategies, with Paulis drawn independently or balanced, on circuits of two sizes.

Run from the repository: python -m benchmarks.twirls
Writes benchmarks/results/twirls.csv: processor time of one thread per twirl, fastest of interleaved repeats, without
compilation. The circuits are brickwork of cz gates on 11 qubits in a line, alone and laid out on the 133 qubits of
FakeTorino. The figures in the docstring of `qcluster.twirl` come from here.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from functools import partial
from itertools import product

from qiskit import QuantumCircuit, transpile

import qcluster as qc
from benchmarks.data import write_row_by_row
from benchmarks.timing import timed
from qcluster.device.circuits.layers import STRATEGIES
from qcluster.device.circuits.twirl import GROUPS
from qcluster.device.machines.machine import find_machine

QUBITS, LAYERS, TWIRLS, REPEATS = 11, (20, 40), 16, 5
LINE = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
"""A line of coupled qubits of FakeTorino."""


def brickwork(layers: int) -> QuantumCircuit:
    """Build layers of five cz gates, with pairs shifted by one between layers and an sx on every qubit before each."""
    circuit = QuantumCircuit(QUBITS)
    for layer in range(layers):
        circuit.sx(range(QUBITS))
        for qubit in range(layer % 2, QUBITS - 1, 2):
            circuit.cz(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def main() -> None:
    backend = find_machine("fake_torino").backend
    works = {}
    for layers in LAYERS:
        bare = brickwork(layers)
        laid = transpile(bare, backend, initial_layout=LINE, optimization_level=0)
        if laid.num_nonlocal_gates() != bare.num_nonlocal_gates():
            raise ValueError(
                f"{LINE} must be a line of {backend.name}; its circuit has {laid.num_nonlocal_gates()} gates"
            )
        for circuit, strategy, group in product((bare, laid), STRATEGIES, GROUPS):
            works[layers, circuit.num_qubits, strategy, group] = circuit
    times = dict.fromkeys(works, float("inf"))
    for _ in range(REPEATS):
        for key, circuit in works.items():
            twirl = partial(qc.twirl, circuit, TWIRLS, backend.target, seed=1, strategy=key[2], group=key[3])
            times[key] = min(times[key], timed(twirl)[1] / TWIRLS)
    rows = (
        {
            "layers": layers,
            "two_qubit_gates": works[key].num_nonlocal_gates(),
            "qubits": qubits,
            "strategy": strategy,
            "group": group,
            "ms_a_twirl": round(1e3 * times[key], 2),
        }
        for key in works
        for layers, qubits, strategy, group in [key]
    )
    write_row_by_row("twirls.csv", rows)


if __name__ == "__main__":
    main()
