"""Entangled states whose output is known in closed form."""

from itertools import combinations
from math import acos, sqrt

from qiskit import QuantumCircuit

from qcluster.bench.circuits.case import Case, case, uniform, uniform_over


def ghz(n: int) -> Case:
    """Prepare (|0...0> + |1...1>)/sqrt(2) by a chain of CX."""
    return case("ghz", n, cat(n).circuit, uniform_over(["0" * n, "1" * n]))


def cat(n: int, pattern: str = "") -> Case:
    """Prepare the equal superposition of a string and its complement.

    Args:
        n: number of qubits.
        pattern: the string, as Qiskit prints it; all zeros when empty.
    """
    pattern = pattern or "0" * n
    if len(pattern) != n:
        raise ValueError(f"pattern must have {n} characters; got {pattern!r}")
    circuit = QuantumCircuit(n, n)
    circuit.h(0)
    for qubit in range(n - 1):
        circuit.cx(qubit, qubit + 1)
    for qubit, bit in enumerate(reversed(pattern)):
        if bit == "1":
            circuit.x(qubit)
    other = pattern.translate(str.maketrans("01", "10"))
    return case("cat", n, circuit, uniform_over(sorted({pattern, other})))


def w_state(n: int) -> Case:
    """Prepare the equal superposition of all strings with a single 1: two two-qubit gates for each further qubit."""
    circuit = QuantumCircuit(n, n)
    circuit.x(0)
    for qubit in range(n - 1):
        angle = acos(sqrt(1.0 / (n - qubit)))
        circuit.ry(-angle, qubit + 1)
        circuit.cz(qubit, qubit + 1)
        circuit.ry(angle, qubit + 1)
        circuit.cx(qubit + 1, qubit)
    texts = ["0" * (n - 1 - bit) + "1" + "0" * bit for bit in range(n)]
    return case("w_state", n, circuit, uniform_over(texts))


def dicke(n: int, ones: int = 2) -> Case:
    """Prepare the equal superposition of strings with `ones` ones (Baertschi and Eidenbenz, arXiv:1904.07358)."""
    if not 1 <= ones <= n:
        raise ValueError(f"ones must lie in 1..{n}; got {ones}")
    circuit = QuantumCircuit(n, n)
    circuit.x(range(n - ones, n))
    for last in range(n - 1, 0, -1):
        for step in range(1, min(ones, last) + 1):
            target, angle = last - step, 2 * acos(sqrt(step / (last + 1)))
            circuit.cx(target, last)
            if step == 1:
                circuit.cry(angle, last, target)
            else:
                circuit.ry(angle / 2, target)
                circuit.ccx(last, target + 1, target)
                circuit.ry(-angle / 2, target)
                circuit.ccx(last, target + 1, target)
            circuit.cx(target, last)
    texts = ["".join("1" if bit in chosen else "0" for bit in range(n)) for chosen in combinations(range(n), ones)]
    return case("dicke", n, circuit, uniform_over(sorted(texts)))


def coin(n: int) -> Case:
    """Prepare every string with equal probability (a quantum random number generator)."""
    circuit = QuantumCircuit(n, n)
    circuit.h(range(n))
    return case("coin", n, circuit, lambda: uniform(n))
