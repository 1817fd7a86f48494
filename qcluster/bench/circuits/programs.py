"""Programs on registers for the suite ``broad``: arithmetic, oracles, memories, codes, protocols.

The circuits of this file and of `dynamics` are for testing only. No part of the package is trained or tuned
on them, and none may be.
"""

from math import acos, pi, sqrt

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import QFTGate

from qcluster.bench.circuits.case import measured, sized, write_value


@sized(2, 2)
def multiplier(n: int, left: int = 3, right: int = 2, superposed: int = 0) -> QuantumCircuit:
    """Multiply two 2-bit numbers into four bits; the lowest `superposed` bits of the first are in superposition."""
    circuit = QuantumCircuit(4 * n)
    (a0, a1), (b0, b1), (p0, p1, p2, p3) = (0, 1), (2, 3), (4, 5, 6, 7)
    write_value(circuit, left, (a0, a1))
    write_value(circuit, right, (b0, b1))
    for qubit in (a0, a1)[:superposed]:
        circuit.h(qubit)
    circuit.ccx(a0, b0, p0)
    circuit.ccx(a1, b0, p1)
    circuit.ccx(a0, b1, p1)
    circuit.mcx([a0, a1, b0, b1], p3)  # the only carry: 3 x 3
    circuit.ccx(a1, b1, p2)
    circuit.cx(p3, p2)
    return circuit


@sized(2, 8)
def comparator(n: int, bound: int = 3, value: int = 0, superposed: int = 2) -> QuantumCircuit:
    """Flag whether an n-bit number is below a bound: one multi-controlled gate for each 1 of the bound."""
    circuit = QuantumCircuit(n + 1)
    write_value(circuit, value, range(n))
    for qubit in range(superposed):
        circuit.h(qubit)
    for place in range(n):
        if bound >> place & 1:
            wanted = bound >> place & ~1  # this bit 0, the higher ones equal to the bound's
            zeros = [place + k for k in range(n - place) if not wanted >> k & 1]
            circuit.x(zeros)
            circuit.mcx(list(range(place, n)), n)
            circuit.x(zeros)
    return circuit


@sized(2, 5)
def hamming_weight(n: int, angle: float = 0.9) -> QuantumCircuit:
    """Count the ones of n rotated qubits into a register, by controlled increments."""
    counter = list(range(n, n + n.bit_length()))
    circuit = QuantumCircuit(n + len(counter))
    for qubit in range(n):
        circuit.ry(angle * (1 + 0.2 * qubit), qubit)
        _increment(circuit, counter, [qubit])
    return circuit


@sized(2, 6)
def weight_phase(n: int, value: int = 1, angle: float = 0.0) -> QuantumCircuit:
    """Estimate the number of ones in a string as a phase; the last qubit of the string may be rotated."""
    counter = list(range(n, n + n.bit_length()))
    circuit = QuantumCircuit(n + len(counter))
    write_value(circuit, value, range(n))
    circuit.ry(angle, n - 1)
    circuit.h(counter)
    for place, control in enumerate(counter):
        for qubit in range(n):
            circuit.cp(2 * pi * 2.0 ** (place - len(counter)), qubit, control)
    circuit.append(QFTGate(len(counter)).inverse(), counter)
    return circuit


@sized(2, 6)
def incrementer(n: int, steps: int = 3) -> QuantumCircuit:
    """Increment a number whose lowest bit is in superposition."""
    circuit = QuantumCircuit(n)
    circuit.h(0)
    for _ in range(steps):
        _increment(circuit, list(range(n)), [])
    return circuit


def _increment(circuit: QuantumCircuit, register: list[int], controls: list[int]) -> None:
    for place in reversed(range(len(register))):
        above = [*controls, *register[:place]]
        if above:
            circuit.mcx(above, register[place])
        else:
            circuit.x(register[place])


@sized(3, 12)
def toffoli_network(n: int, gates: int = 8, superposed: int = 1, seed: int = 0) -> QuantumCircuit:
    """Apply random CX and Toffoli gates to a random string, some bits of which are in superposition."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n)
    write_value(circuit, int(rng.integers(1 << n)), range(n))
    for qubit in range(superposed):
        circuit.h(qubit)
    for _ in range(gates):
        first, second, target = (int(qubit) for qubit in rng.choice(n, 3, replace=False))
        if rng.random() < 0.5:
            circuit.cx(first, target)
        else:
            circuit.ccx(first, second, target)
    return circuit


@sized(2, 4)
def boolean_oracle(n: int, seed: int = 0) -> QuantumCircuit:
    """Evaluate a random Boolean function on all inputs in superposition, monomial by monomial."""
    monomials = np.random.default_rng(seed).integers(0, 2, 1 << n)
    circuit = QuantumCircuit(n + 1)
    circuit.h(range(n))
    for value in np.flatnonzero(monomials):
        factors = [qubit for qubit in range(n) if value >> qubit & 1]
        if factors:
            circuit.mcx(factors, n)
        else:
            circuit.x(n)
    return circuit


@sized(1, 2)
def bucket_brigade(n: int, data: int = 6) -> QuantumCircuit:
    """Query a memory of 2^n bits at all addresses: a token is routed to its cell, which is read, and routed back."""
    cells = list(range(n, n + 2**n))
    circuit = QuantumCircuit(n + 2**n + 1)
    routing = QuantumCircuit(circuit.num_qubits)
    for bit in reversed(range(n)):
        for cell in range(0, 2**n, 2 << bit):
            routing.cswap(bit, cells[cell], cells[cell + (1 << bit)])
    circuit.h(range(n))
    circuit.x(cells[0])
    circuit.compose(routing, inplace=True)
    for cell in range(2**n):
        if data >> cell & 1:
            circuit.cx(cells[cell], cells[-1] + 1)
    circuit.compose(routing.inverse(), inplace=True)
    return measured(circuit, [*range(n), cells[-1] + 1])


@sized(3, 8)
def hidden_subgroup(n: int, seed: int = 0) -> QuantumCircuit:
    """Find a hidden subgroup of order four of the n-bit strings: the output is the 2^(n-2) strings orthogonal to it."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(2 * n - 2)
    circuit.h(range(n))
    for row in range(n - 2):  # in echelon form, so that the rows are independent and the kernel has order four
        circuit.cx(row, n + row)
        for column in (n - 2, n - 1):
            if rng.random() < 0.5:
                circuit.cx(column, n + row)
    circuit.h(range(n))
    return measured(circuit, range(n))


@sized(4, 12)
def forrelation(n: int, cubic: int = 1) -> QuantumCircuit:
    """Correlate a bent function with the transform of one that differs by `cubic` terms: a peak with a tail."""
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for left in range(0, n - 1, 2):
        circuit.cz(left, left + 1)
    circuit.h(range(n))
    for left in range(0, n - 1, 2):
        circuit.cz(left, left + 1)
    for left in range(cubic):
        circuit.ccz(left % n, (left + 1) % n, (left + 2) % n)
    circuit.h(range(n))
    return circuit


@sized(2, 6)
def signal_processing(n: int, degree: int = 3, angle: float = 0.8) -> QuantumCircuit:
    """Filter a signal on a grid of 2^n points: rotations by the signal alternate with rotations by fixed phases."""
    circuit = QuantumCircuit(n + 1)
    circuit.h(range(n))
    for step in range(degree):
        circuit.rx(angle, n)
        for bit in range(n):
            circuit.cp(pi * 2.0 ** (bit - n + 1), bit, n)
        circuit.rx(-angle / (step + 1), n)
    return circuit


@sized(7, 10)
def steane(n: int, error: int = 2) -> QuantumCircuit:
    """Encode a zero in the Steane code and flip one qubit; with ten qubits, the three Z checks are measured, too."""
    if n not in (7, 10):
        raise ValueError(f"steane has 7 qubits, or 10 with its checks; got {n}")
    checks = ((3, 4, 5, 6), (1, 2, 5, 6), (0, 2, 4, 6))
    circuit = QuantumCircuit(n)
    for source, *rest in checks:
        circuit.h(source)
        for qubit in rest:
            circuit.cx(source, qubit)
    write_value(circuit, 1 << error, range(7))
    for check, members in enumerate(checks if n == 10 else ()):
        for qubit in members:
            circuit.cx(qubit, 7 + check)
    return circuit


@sized(9, 9)
def shor_code(n: int, angle: float = 0.7, error: int = 4) -> QuantumCircuit:
    """Encode a rotated qubit in Shor's code, apply Y to one qubit, and decode: two strings with the syndrome."""
    encode = QuantumCircuit(n)
    encode.cx(0, [3, 6])
    encode.h([0, 3, 6])
    for first in (0, 3, 6):
        encode.cx(first, [first + 1, first + 2])
    circuit = QuantumCircuit(n)
    circuit.ry(angle, 0)
    circuit.compose(encode, inplace=True)
    circuit.barrier()  # otherwise the compiler cancels the code
    circuit.y(error)
    circuit.barrier()
    circuit.compose(encode.inverse(), inplace=True)
    return circuit


@sized(2, 20)
def key_exchange(n: int, seed: int = 0) -> QuantumCircuit:
    """Send random bits in random bases and read them in others (BB84): certain bits, and random ones."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n)
    write_value(circuit, int(rng.integers(1 << n)), range(n))
    for qubit, times in enumerate(rng.integers(0, 2, (n, 2)).sum(axis=1)):
        for _ in range(times):
            circuit.h(qubit)
            circuit.barrier(qubit)
    return circuit


@sized(2, 20)
def superdense(n: int, seed: int = 0) -> QuantumCircuit:
    """Send two bits through each Bell pair (n even): one string."""
    if n % 2:
        raise ValueError(f"superdense needs an even number of qubits; got {n}")
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n)
    for left in range(0, n, 2):
        circuit.h(left)
        circuit.cx(left, left + 1)
        circuit.barrier(left, left + 1)
        if rng.random() < 0.5:
            circuit.x(left)
        if rng.random() < 0.5:
            circuit.z(left)
        circuit.barrier(left, left + 1)
        circuit.cx(left, left + 1)
        circuit.h(left)
    return circuit


@sized(4, 12)
def swapping(n: int) -> QuantumCircuit:
    """Swap entanglement along Bell pairs (n even), with corrections by gates: only both ends are read, and agree."""
    if n % 2:
        raise ValueError(f"swapping needs an even number of qubits; got {n}")
    circuit = QuantumCircuit(n)
    for left in range(0, n, 2):
        circuit.h(left)
        circuit.cx(left, left + 1)
    for middle in range(1, n - 1, 2):
        circuit.cx(middle, middle + 1)
        circuit.h(middle)
        circuit.cx(middle + 1, middle + 2)
        circuit.cz(middle, middle + 2)
    return measured(circuit, [0, n - 1])


@sized(4, 4)
def purification(n: int, angle: float = 0.5) -> QuantumCircuit:
    """Purify one of two imperfect Bell pairs by bilateral CX gates; all four qubits are read."""
    circuit = QuantumCircuit(n)
    for left in (0, 2):
        circuit.h(left)
        circuit.cx(left, left + 1)
        circuit.rx(angle, left + 1)
    circuit.cx([0, 1], [2, 3])
    return circuit


@sized(1, 3)
def galton(n: int, angle: float = pi / 2) -> QuantumCircuit:
    """Let a ball fall through n rows of pegs, with one coin per row: its place is one of n + 1 one-hot strings."""
    places = list(range(n, 3 * n + 1))
    circuit = QuantumCircuit(3 * n + 1)
    circuit.x(places[n])
    for row in range(n):
        circuit.ry(angle, row)
        for peg in range(n - row, n + row + 1, 2):
            circuit.cswap(row, places[peg], places[peg - 1])
            circuit.x(row)
            circuit.cswap(row, places[peg], places[peg + 1])
            circuit.x(row)
    return measured(circuit, places)


@sized(2, 12)
def bayesian_network(n: int, seed: int = 0) -> QuantumCircuit:
    """Load a chain of events, where the probability of each depends on the event before it."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n)
    circuit.ry(rng.uniform(0.3, pi - 0.3), 0)
    for qubit in range(1, n):
        circuit.cry(rng.uniform(0.1, pi), qubit - 1, qubit)
        circuit.x(qubit - 1)
        circuit.cry(rng.uniform(0.1, pi), qubit - 1, qubit)
        circuit.x(qubit - 1)
    return circuit


@sized(2, 20)
def unary_loading(n: int, decay: float = 0.5) -> QuantumCircuit:
    """Load geometric probabilities into one-hot strings."""
    if not 0 < decay <= 1:
        raise ValueError(f"decay must lie in (0, 1]; got {decay}")
    shares = decay ** np.arange(n)
    rest = np.cumsum(shares[::-1])[::-1]
    circuit = QuantumCircuit(n)
    circuit.x(0)
    for qubit in range(n - 1):
        circuit.cry(2 * acos(sqrt(shares[qubit] / rest[qubit])), qubit, qubit + 1)
        circuit.cx(qubit + 1, qubit)
    return circuit
