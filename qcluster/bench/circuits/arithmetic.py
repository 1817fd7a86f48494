"""Reversible arithmetic and Fourier transforms."""

from math import pi

import numpy as np
from qiskit import QuantumCircuit

from qcluster.bench.circuits.case import Case, case, certain, from_probabilities, uniform


def adder(n: int, left: int | None = None, right: int | None = None) -> Case:
    """Add two n-bit numbers by ripple carry (Cuccaro et al., quant-ph/0410184); n + 1 measured bits, 2n + 2 qubits.

    Args:
        n: bits of each number.
        left: first number; 1 when None.
        right: second number; the largest when None, so that the carry runs through.
    """
    left = 1 if left is None else left
    right = (1 << n) - 1 if right is None else right
    if not (0 <= left < 1 << n and 0 <= right < 1 << n):
        raise ValueError(f"numbers must have {n} bits; got {left} and {right}")
    carry, first, second, out = 0, range(1, n + 1), range(n + 1, 2 * n + 1), 2 * n + 1
    circuit = QuantumCircuit(2 * n + 2, n + 1)
    for bit in range(n):
        if left >> bit & 1:
            circuit.x(first[bit])
        if right >> bit & 1:
            circuit.x(second[bit])
    carries = [carry, *first]
    for bit in range(n):
        circuit.cx(carries[bit + 1], second[bit])
        circuit.cx(carries[bit + 1], carries[bit])
        circuit.ccx(carries[bit], second[bit], carries[bit + 1])
    circuit.cx(carries[n], out)
    for bit in reversed(range(n)):
        circuit.ccx(carries[bit], second[bit], carries[bit + 1])
        circuit.cx(carries[bit + 1], carries[bit])
        circuit.cx(carries[bit], second[bit])
    circuit.measure([*second, out], range(n + 1))
    return case("adder", n, circuit, certain(format(left + right, f"0{n + 1}b")))


def full_adder() -> Case:
    """Add two bits and a carry (1 + 1 + 0) on four qubits, which are all measured."""
    circuit = QuantumCircuit(4, 4)
    circuit.x([0, 1])
    circuit.ccx(0, 1, 3)
    circuit.cx(0, 1)
    circuit.ccx(1, 2, 3)
    circuit.cx(1, 2)
    circuit.cx(0, 1)
    circuit.measure(range(4), range(4))
    return Case("full_adder", "adder", circuit, certain("1011"))


def toffoli(n: int) -> Case:
    """Flip the last qubit if all others are 1; they all are."""
    circuit = QuantumCircuit(n, n)
    circuit.x(range(n - 1))
    circuit.mcx(list(range(n - 1)), n - 1)
    return case("toffoli", n, circuit, certain("1" * n))


def fredkin(n: int) -> Case:
    """Swap (n - 1)/2 pairs of qubits under the control of qubit 0, which is 1 (n odd)."""
    if n < 3 or n % 2 == 0:
        raise ValueError(f"fredkin needs an odd number of qubits, 3 or more; got {n}")
    circuit = QuantumCircuit(n, n)
    circuit.x([0, *range(1, n, 2)])
    for first in range(1, n, 2):
        circuit.cswap(0, first, first + 1)
    return case("fredkin", n, circuit, certain("10" * (n // 2) + "1"))


def qft(n: int, value: int = 0) -> Case:
    """Fourier-transform a basis state: every string with equal probability."""
    _check_value(value, n)
    circuit = QuantumCircuit(n, n)
    for bit in range(n):
        if value >> bit & 1:
            circuit.x(bit)
    _fourier(circuit, list(range(n)))
    return case("qft", n, circuit, lambda: uniform(n))


def inverse_qft(n: int, value: int | None = None) -> Case:
    """Prepare the Fourier transform of a number with one rotation per qubit, and transform it back: one string."""
    value = int("10" * n, 2) >> n if value is None else value
    _check_value(value, n)
    circuit = QuantumCircuit(n, n)
    circuit.h(range(n))
    for bit in range(n):
        circuit.p(2 * pi * value * 2**bit / 2**n, bit)
    _fourier(circuit, list(range(n)), inverse=True)
    return case("inverse_qft", n, circuit, certain(format(value, f"0{n}b")))


def qpe(n: int, phase: float = 1 / 3) -> Case:
    """Estimate a phase with n bits (n + 1 qubits): a peak, with a tail unless the phase has n binary digits.

    Closed form: ``P(v) = |sin(pi 2^n e) / (2^n sin(pi e))|^2`` with ``e = phase - v/2^n``.
    """
    circuit = QuantumCircuit(n + 1, n)
    circuit.x(n)
    circuit.h(range(n))
    for bit in range(n):
        circuit.cp(2 * pi * phase * 2**bit, bit, n)
    _fourier(circuit, list(range(n)), inverse=True)
    error = phase - np.arange(1 << n) / (1 << n)
    below = np.sin(pi * error) * 2**n
    exact = np.abs(below) < 1e-12
    ideal = np.where(exact, 1.0, np.sin(pi * 2**n * error) / np.where(exact, 1.0, below)) ** 2
    return case("qpe", n, circuit, from_probabilities(ideal))


def _check_value(value: int, n: int) -> None:
    if not 0 <= value < 1 << n:
        raise ValueError(f"value must lie in 0..2**{n} - 1; got {value}")


def _fourier(circuit: QuantumCircuit, qubits: list[int], inverse: bool = False) -> None:
    """Apply |v> -> sum_w exp(2 pi i v w / 2^n) |w>, or its inverse."""
    n = len(qubits)
    part = QuantumCircuit(n)
    for high in reversed(range(n)):
        part.h(high)
        for low in reversed(range(high)):
            part.cp(pi / 2 ** (high - low), low, high)
    for low in range(n // 2):
        part.swap(low, n - 1 - low)
    circuit.compose(part.inverse() if inverse else part, qubits, inplace=True)
