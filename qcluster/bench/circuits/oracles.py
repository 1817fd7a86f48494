"""Oracle algorithms, whose output follows from the secret."""

from math import asin, floor, pi, sin, sqrt

import numpy as np
from qiskit import QuantumCircuit

from qcluster.bench.circuits.case import Case, case, certain, check_vector, from_probabilities, uniform_over
from qcluster.core.counts.distribution import Distribution


def bv(n: int, secret: str = "") -> Case:
    """Find a secret string with one query (Bernstein-Vazirani); n measured bits, n + 1 qubits."""
    secret = _secret(secret, n, "1" * n)
    circuit = QuantumCircuit(n + 1, n)
    circuit.x(n)
    circuit.h(range(n + 1))
    for qubit in _places(secret):
        circuit.cx(qubit, n)
    circuit.h(range(n))
    return case("bv", n, circuit, certain(secret))


def deutsch_jozsa(n: int) -> Case:
    """Recognise the balanced function x0 xor (x1 and x2): four strings of equal weight, none of them zero."""
    if n < 3:
        raise ValueError(f"deutsch_jozsa needs 3 bits or more; got {n}")
    circuit = QuantumCircuit(n + 1, n)
    circuit.x(n)
    circuit.h(range(n + 1))
    circuit.cx(0, n)
    circuit.ccx(1, 2, n)
    circuit.h(range(n))
    strings = ["0" * (n - 3) + pair + "1" for pair in ("00", "01", "10", "11")]
    return case("deutsch_jozsa", n, circuit, uniform_over(strings))


def grover(n: int, marked: str = "", rounds: int = 0) -> Case:
    """Search for one string; after k rounds it has probability sin^2((2k+1) asin(2^(-n/2))), the others share the rest.

    Args:
        n: number of qubits, 2 or more.
        marked: the string to find; all ones when empty.
        rounds: number of queries; 0 for the best number, floor(pi/4 sqrt(2^n)).
    """
    marked = _secret(marked, n, "1" * n)
    rounds = rounds or max(1, floor(pi / 4 * sqrt(2**n)))
    zeros = _places(marked, "0")
    circuit = QuantumCircuit(n, n)
    circuit.h(range(n))
    for _ in range(rounds):
        _flip_phase(circuit, zeros)
        circuit.h(range(n))
        _flip_phase(circuit, list(range(n)))
        circuit.h(range(n))
    success = sin((2 * rounds + 1) * asin(2 ** (-n / 2))) ** 2
    ideal = np.full(1 << n, (1 - success) / (2**n - 1))
    ideal[int(marked, 2)] = success
    return case("grover", n, circuit, from_probabilities(ideal))


def _flip_phase(circuit: QuantumCircuit, zeros: list[int]) -> None:
    """Flip the sign of the string that is 0 on `zeros` and 1 elsewhere."""
    n = circuit.num_qubits
    if zeros:
        circuit.x(zeros)
    circuit.h(n - 1)
    circuit.mcx(list(range(n - 1)), n - 1)
    circuit.h(n - 1)
    if zeros:
        circuit.x(zeros)


def hidden_shift(n: int, shift: str = "") -> Case:
    """Find the shift of a bent function of pairs of bits (n even): one string."""
    if n % 2:
        raise ValueError(f"hidden_shift needs an even number of bits; got {n}")
    shift = _secret(shift, n, "01" * (n // 2))
    circuit = QuantumCircuit(n, n)
    circuit.h(range(n))
    _shifted_bent(circuit, _places(shift))
    circuit.h(range(n))
    _shifted_bent(circuit, [])
    circuit.h(range(n))
    return case("hidden_shift", n, circuit, certain(shift))


def _shifted_bent(circuit: QuantumCircuit, ones: list[int]) -> None:
    """Multiply by the sign (-1)^f(x xor shift), where f is the sum of products of pairs of bits."""
    if ones:
        circuit.x(ones)
    for qubit in range(0, circuit.num_qubits, 2):
        circuit.cz(qubit, qubit + 1)
    if ones:
        circuit.x(ones)


def lpn(n: int, secret: str = "") -> Case:
    """Learn a parity of n - 1 bits: all zeros, or the secret together with a 1 at the answer bit (bit n // 2)."""
    secret = _secret(secret, n - 1, ("10" * n)[: n - 1])
    answer = n // 2
    data = [qubit for qubit in range(n) if qubit != answer]
    circuit = QuantumCircuit(n, n)
    circuit.h(data)
    used = [data[place] for place in _places(secret)]
    for qubit in used:
        circuit.cx(qubit, answer)
    circuit.h(range(n))
    answer_string = "".join("1" if qubit in {*used, answer} else "0" for qubit in reversed(range(n)))
    return case("lpn", n, circuit, uniform_over(["0" * n, answer_string]))


def simon(n: int, period: str = "") -> Case:
    """Find the period of a two-to-one function: all strings orthogonal to it; n measured bits, 2n qubits."""
    period = _secret(period, n, "1" + "0" * (n - 2) + "1" if n > 1 else "1")
    if "1" not in period:
        raise ValueError(f"period must have at least one 1; got {period!r}")
    places = _places(period)
    circuit = QuantumCircuit(2 * n, n)
    circuit.h(range(n))
    for qubit in range(n):
        circuit.cx(qubit, n + qubit)
    for place in places:
        circuit.cx(places[0], n + place)
    circuit.h(range(n))
    mask = int(period, 2)

    def ideal() -> Distribution:
        check_vector(n)
        values = np.arange(1 << n)
        return from_probabilities((np.bitwise_count(values & mask) % 2 == 0) / 2.0 ** (n - 1))

    return case("simon", n, circuit, ideal)


def sat(n: int = 7) -> Case:
    """Search for a satisfying assignment of three clauses of two variables, with clause qubits; 7 qubits, 2 bits.

    As in the circuit of the published table, the answer qubit is not prepared in the minus state, so the output is not
    the assignment alone.
    """
    if n != 7:
        raise ValueError(f"sat has 7 qubits; got {n}")
    answer, (left, right), clauses, helper = 0, (1, 2), (3, 4, 5), 6
    signs = ((1, 1), (1, 0), (0, 1))
    circuit = QuantumCircuit(n, 2)
    circuit.h([left, right])
    circuit.x(clauses)

    def clause(index: int) -> None:
        negated = [qubit for qubit, sign in zip((left, right), signs[index], strict=True) if sign]
        circuit.x(negated)
        circuit.ccx(left, right, clauses[index])
        circuit.x(negated)

    for index in (0, 1, 2):
        clause(index)
    circuit.ccx(clauses[0], clauses[1], helper)
    circuit.ccx(clauses[2], helper, answer)
    circuit.ccx(clauses[0], clauses[1], helper)
    for index in (2, 1, 0):
        clause(index)
    circuit.h([left, right])
    circuit.x([answer, left, right])
    circuit.h(answer)
    circuit.ccx(left, right, answer)
    circuit.h(answer)
    circuit.x([answer, left, right])
    circuit.h([answer, left, right])
    circuit.measure([left, right], [0, 1])
    return case("sat", n, circuit)


def _places(text: str, bit: str = "1") -> list[int]:
    """Return the positions, from the right, of the characters of a string that equal `bit`."""
    return [place for place, character in enumerate(reversed(text)) if character == bit]


def _secret(given: str, n: int, default: str) -> str:
    text = given or default
    if len(text) != n or set(text) - {"0", "1"}:
        raise ValueError(f"a string of {n} characters 0 or 1 is needed; got {text!r}")
    return text
