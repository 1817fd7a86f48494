"""A GHZ state prepared by a chain of CX gates, a circuit that several benchmarks use."""

from qiskit import QuantumCircuit


def ghz(n: int, *, measured: bool = False) -> QuantumCircuit:
    """Prepare (|0...0> + |1...1>) / sqrt 2, and measure all qubits or none."""
    circuit = QuantumCircuit(n)
    circuit.h(0)
    for qubit in range(n - 1):
        circuit.cx(qubit, qubit + 1)
    if measured:
        circuit.measure_all()
    return circuit
