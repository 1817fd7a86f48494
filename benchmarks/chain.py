"""A GHZ state by a chain of CX: the circuit of several benchmarks."""

from qiskit import QuantumCircuit


def ghz(n: int, *, measured: bool = False) -> QuantumCircuit:
    """Prepare (|0...0> + |1...1>) / sqrt 2, and measure all of it or nothing."""
    circuit = QuantumCircuit(n)
    circuit.h(0)
    for qubit in range(n - 1):
        circuit.cx(qubit, qubit + 1)
    if measured:
        circuit.measure_all()
    return circuit
