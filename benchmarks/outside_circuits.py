"""Circuits of kinds that `qcluster.bench` does not hold, for `benchmarks.outside`, with their exact ideal output.

One plain function a family; `CASES` lists which sizes are run. Wide ones couple neighbours only, so that routing does
not spread them over more qubits than a density matrix holds.
"""

from collections import Counter
from collections.abc import Callable
from math import acos, asin, pi, sqrt

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction, library
from qiskit.quantum_info import SparsePauliOp, Statevector

from qcluster.bench.circuits import Case, simulate
from qcluster.core.counts.distribution import Distribution


def clifford_t(n: int, depth: int, seed: int) -> QuantumCircuit:
    """Random H, S, T and their products in a brick wall of CX."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n)
    for layer in range(depth):
        for qubit in range(n):
            for name in rng.choice(["h", "s", "t"], 3):
                getattr(circuit, name)(qubit)
        for left in range(layer % 2, n - 1, 2):
            circuit.cx(left, left + 1)
    circuit.h(rng.choice(n, n // 2, replace=False))
    return circuit


def small_angles(n: int, layers: int, seed: int) -> QuantumCircuit:
    """A hardware-efficient ansatz near its starting string: small RY and RZ, CZ between neighbours."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n)
    circuit.x(range(0, n, 2))
    for _ in range(layers):
        for qubit in range(n):
            circuit.ry(rng.normal(0, 0.3), qubit)
            circuit.rz(rng.normal(0, 0.3), qubit)
        for left in range(n - 1):
            circuit.cz(left, left + 1)
    for qubit in range(n):
        circuit.ry(rng.normal(0, 0.3), qubit)
    return circuit


def amplitude_estimation(n: int, probability: float) -> QuantumCircuit:
    """Estimate the probability of a one with n bits: two peaks with tails; the rotated qubit is measured, too."""
    circuit = QuantumCircuit(n + 1)
    angle = 2 * asin(sqrt(probability))
    circuit.ry(angle, n)
    circuit.h(range(n))
    for bit in range(n):
        circuit.cry(2 * angle * 2**bit, bit, n)
    circuit.append(library.QFTGate(n).inverse(), range(n))
    return circuit


def counting(n: int, marked: int) -> QuantumCircuit:
    """Count the solutions among four strings of two bits, with n bits: phase estimation of a Grover step."""
    circuit = QuantumCircuit(n + 2, n)
    search = [n, n + 1]
    circuit.h(range(n + 2))
    for bit in range(n):
        for _ in range(2**bit):
            circuit.z(bit)
            for value in range(marked):
                _phase_flip(circuit, bit, search, value)
            circuit.h(search)
            _phase_flip(circuit, bit, search, 0)
            circuit.h(search)
    circuit.append(library.QFTGate(n).inverse(), range(n))
    circuit.measure(range(n), range(n))
    return circuit


def _phase_flip(circuit: QuantumCircuit, control: int, search: list[int], value: int) -> None:
    zeros = [qubit for place, qubit in enumerate(search) if not value >> place & 1]
    if zeros:
        circuit.x(zeros)
    circuit.ccz(control, *search)
    if zeros:
        circuit.x(zeros)


def order_finding(base: int) -> QuantumCircuit:
    """Find the order of a base modulo 15 (7: four peaks, 11: two), three bits of phase; seven qubits."""
    circuit = QuantumCircuit(7, 3)
    circuit.h(range(3))
    circuit.x(3)
    work = (3, 4, 5, 6)
    if base == 7:
        for first, second in ((2, 3), (1, 2), (0, 1)):
            circuit.cswap(0, work[first], work[second])
        times_four = 1
    else:
        times_four = 0
    for first, second in ((1, 3), (0, 2)):
        circuit.cswap(times_four, work[first], work[second])
    for qubit in work:
        circuit.cx(0, qubit)
    circuit.append(library.QFTGate(3).inverse(), range(3))
    circuit.measure(range(3), range(3))
    return circuit


def draper(n: int, left: int, right: int, superposed: int) -> QuantumCircuit:
    """Add n-bit numbers in the Fourier basis; `superposed` bits of the first are in both states: 2^superposed sums."""
    circuit = QuantumCircuit(2 * n)
    first, second = list(range(n)), list(range(n, 2 * n))
    for bit in range(n):
        if left >> bit & 1:
            circuit.x(first[bit])
        if right >> bit & 1:
            circuit.x(second[bit])
    if superposed:
        circuit.h(first[:superposed])
    circuit.append(library.QFTGate(n), second)
    for source in range(n):
        for target in range(n - source):
            circuit.cp(2 * pi * 2.0 ** (source + target - n), first[source], second[target])
    circuit.append(library.QFTGate(n).inverse(), second)
    return circuit


def qram(address: int, data: int, seed: int) -> QuantumCircuit:
    """Read a random table at all addresses at once: 2^address equal strings."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(address + data)
    circuit.h(range(address))
    for bit in range(data):
        circuit.append(library.UCRYGate(list(pi * rng.integers(0, 2, 2**address))), [address + bit, *range(address)])
    return circuit


def function_loading(n: int, frequency: float) -> QuantumCircuit:
    """Load sin^2 over a grid of 2^n points into one more qubit, as quadrature does."""
    circuit = QuantumCircuit(n + 1)
    circuit.h(range(n))
    grid = (np.arange(2**n) + 0.5) / 2**n
    circuit.append(library.UCRYGate(list(2 * frequency * grid)), [n, *range(n)])
    return circuit


def lognormal_loading(n: int, width: float) -> QuantumCircuit:
    """Load the square roots of a log-normal density on 2^n points."""
    grid = np.linspace(0.2, 3, 2**n)
    density = np.exp(-(np.log(grid) ** 2) / (2 * width**2)) / grid
    circuit = QuantumCircuit(n)
    circuit.append(library.StatePreparation(np.sqrt(density / density.sum())), range(n))
    return circuit


def heisenberg(n: int, steps: int, anisotropy: float) -> QuantumCircuit:
    """Evolve the Neel state under an XXZ chain, first-order Trotter steps."""
    circuit = QuantumCircuit(n)
    circuit.x(range(0, n, 2))
    for _ in range(steps):
        for left in [*range(0, n - 1, 2), *range(1, n - 1, 2)]:
            circuit.rxx(0.5, left, left + 1)
            circuit.ryy(0.5, left, left + 1)
            circuit.rzz(0.5 * anisotropy, left, left + 1)
    return circuit


def graph_state(n: int, ring: bool, seed: int) -> QuantumCircuit:
    """A cluster state on a line or ring, each qubit turned by an angle of its own before it is read."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for left in range(n if ring else n - 1):
        circuit.cz(left, (left + 1) % n)
    for qubit in range(n):
        circuit.rx(rng.choice([0, pi / 4, pi / 2, 1.0]), qubit)
        circuit.ry(rng.choice([0, pi / 4, pi / 2, 0.6]), qubit)
    return circuit


def dicke(n: int, ones: int) -> QuantumCircuit:
    """The equal superposition of all strings with so many ones (Baertschi and Eidenbenz, arXiv:1904.07358)."""
    circuit = QuantumCircuit(n)
    circuit.x(range(n - ones, n))
    for size in range(n, 1, -1):
        last = size - 1
        for step in range(1, min(ones, size - 1) + 1):
            target, angle = last - step, 2 * acos(sqrt(step / size))
            circuit.cx(target, last)
            if step == 1:
                circuit.cry(angle, last, target)
            else:
                for turn in (angle / 2, -angle / 2):
                    circuit.ry(turn, target)
                    circuit.ccx(last, target + 1, target)
            circuit.cx(target, last)
    return circuit


def swap_test(n: int, seed: int) -> QuantumCircuit:
    """Compare two random states of n qubits each; all 2n + 1 qubits are measured."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(2 * n + 1)
    for start in (1, 1 + n):
        for qubit in range(start, start + n):
            circuit.ry(rng.uniform(0, pi), qubit)
        for qubit in range(start, start + n - 1):
            circuit.cx(qubit, qubit + 1)
    circuit.h(0)
    for qubit in range(1, 1 + n):
        circuit.cswap(0, qubit, qubit + n)
    circuit.h(0)
    return circuit


def repetition_code(n: int, angle: float, error: int) -> QuantumCircuit:
    """Encode a rotated qubit into n, flip one of them, and read data and n - 1 syndrome bits."""
    circuit = QuantumCircuit(2 * n - 1)
    data, checks = range(0, 2 * n, 2), range(1, 2 * n - 1, 2)
    circuit.ry(angle, 0)
    for place in range(n - 1):
        circuit.cx(data[place], data[place + 1])
    circuit.x(data[error])
    for check in checks:
        circuit.cx(check - 1, check)
        circuit.cx(check + 1, check)
    return circuit


def code_422(logical: str, error: str) -> QuantumCircuit:
    """Two logical qubits in [[4,2,2]], rotated, with both checks: six qubits.

    Args:
        logical: "zero", or "turned" for a rotation about logical XX.
        error: Pauli gate on one data qubit, "x", "z", or "id".
    """
    circuit = QuantumCircuit(6)
    data, parity, phase = range(4), 4, 5
    circuit.h(0)
    for qubit in range(3):
        circuit.cx(qubit, qubit + 1)
    if logical == "turned":
        circuit.rxx(0.8, 0, 1)
        circuit.rxx(1.3, 0, 2)
    getattr(circuit, error)(2)
    circuit.h(phase)
    for qubit in data:
        circuit.cx(qubit, parity)
        circuit.cx(phase, qubit)
    circuit.h(phase)
    return circuit


def kernel_overlap(n: int, distance: float, seed: int) -> QuantumCircuit:
    """Overlap of two feature vectors: one map forwards, the other back; a peak at zero and a tail."""
    rng = np.random.default_rng(seed)
    point = rng.uniform(0, 2, n)
    circuit = QuantumCircuit(n)
    circuit.compose(_feature_map(point), inplace=True)
    circuit.compose(_feature_map(point + rng.normal(0, distance, n)).inverse(), inplace=True)
    return circuit


def _feature_map(point: np.ndarray) -> QuantumCircuit:
    n = len(point)
    circuit = QuantumCircuit(n)
    for _ in range(2):
        circuit.h(range(n))
        for qubit in range(n):
            circuit.p(2 * point[qubit], qubit)
        for left in range(n - 1):
            circuit.rzz(point[left] * point[left + 1], left, left + 1)
    return circuit


def excitations(n: int, seed: int) -> QuantumCircuit:
    """Half-filled orbitals with one double excitation and single ones: a unitary coupled cluster."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n)
    circuit.x(range(n // 2))
    signs = {"XXXY": 1, "XXYX": 1, "XYXX": -1, "YXXX": -1, "XYYY": 1, "YXYY": 1, "YYXY": -1, "YYYX": -1}
    double = SparsePauliOp(list(signs), np.array(list(signs.values())) / 8)
    middle = n // 2
    circuit.append(library.PauliEvolutionGate(double, rng.uniform(0.4, 1.1)), range(middle - 2, middle + 2))
    for left in range(0, n - 1, 2):
        circuit.append(library.XXPlusYYGate(rng.uniform(0.2, 1), pi / 2), [left, left + 1])
    return circuit.decompose("PauliEvolution")


def quantum_volume(n: int, seed: int) -> QuantumCircuit:
    """The model circuit: as many layers of random two-qubit unitaries on random pairs as qubits."""
    return library.quantum_volume(n, seed=seed).decompose()


def bell_angles(n: int, seed: int) -> QuantumCircuit:
    """Bell pairs (n even) read at random angles, as in a test of Bell's inequality."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n)
    for left in range(0, n, 2):
        circuit.h(left)
        circuit.cx(left, left + 1)
    for qubit in range(n):
        circuit.ry(rng.choice([0, pi / 4, pi / 2, 3 * pi / 4]), qubit)
    return circuit


def rabi(n: int, time: float) -> QuantumCircuit:
    """Qubits driven at different rates, read after the same time: no entanglement."""
    circuit = QuantumCircuit(n)
    for qubit in range(n):
        circuit.rx(time * (1 + 0.3 * qubit), qubit)
    return circuit


def teleportation(hops: int, angle: float) -> QuantumCircuit:
    """Teleport a rotated qubit along 2 hops + 1 qubits, corrected by feed-forward; every measurement is kept."""
    circuit = QuantumCircuit(2 * hops + 1, 2 * hops + 1)
    circuit.ry(angle, 0)
    for hop in range(hops):
        source, left, right = 2 * hop, 2 * hop + 1, 2 * hop + 2
        circuit.h(left)
        circuit.cx(left, right)
        circuit.cx(source, left)
        circuit.h(source)
        circuit.measure([source, left], [source, left])
        with circuit.if_test((circuit.clbits[left], 1)):
            circuit.x(right)
        with circuit.if_test((circuit.clbits[source], 1)):
            circuit.z(right)
    circuit.measure(2 * hops, 2 * hops)
    return circuit


def iterative_phase(n: int, phase: float) -> QuantumCircuit:
    """Estimate a phase bit by bit with one recycled qubit and feed-forward; the eigenstate lies on two more."""
    circuit = QuantumCircuit(3, n)
    circuit.x(1)
    circuit.cx(1, 2)
    for bit in range(n):
        if bit:
            circuit.reset(0)
        circuit.h(0)
        circuit.cp(pi * phase * 2 ** (n - bit - 1), 0, 1)
        circuit.cp(pi * phase * 2 ** (n - bit - 1), 0, 2)
        for earlier in range(bit):
            with circuit.if_test((circuit.clbits[earlier], 1)):
                circuit.p(-pi / 2 ** (bit - earlier), 0)
        circuit.h(0)
        circuit.measure(0, bit)
    return circuit


CASES: tuple[tuple[Callable[..., QuantumCircuit], tuple[object, ...]], ...] = (
    *((clifford_t, given) for given in ((4, 4, 1), (5, 3, 2), (6, 4, 3), (7, 3, 4), (8, 3, 5))),
    *((small_angles, given) for given in ((4, 2, 1), (6, 2, 2), (8, 3, 3), (10, 2, 4))),
    *((amplitude_estimation, given) for given in ((3, 0.3), (4, 0.2), (4, 0.5))),
    *((counting, given) for given in ((3, 1), (3, 2))),
    *((order_finding, given) for given in ((7,), (11,))),
    *((draper, given) for given in ((2, 1, 2, 0), (3, 5, 6, 0), (3, 2, 3, 2), (2, 0, 1, 2))),
    *((qram, given) for given in ((2, 2, 1), (2, 4, 2), (3, 2, 3))),
    *((function_loading, given) for given in ((3, 2.0), (4, 1.5))),
    *((lognormal_loading, given) for given in ((3, 0.4), (4, 0.3), (5, 0.5))),
    *((heisenberg, given) for given in ((4, 3, 1.0), (6, 2, 0.5), (8, 1, 1.5))),
    *((graph_state, given) for given in ((4, False, 1), (6, True, 2), (8, False, 3), (10, False, 4))),
    *((dicke, given) for given in ((4, 2), (5, 2), (6, 2), (6, 3))),
    *((swap_test, given) for given in ((1, 1), (2, 2))),
    *((repetition_code, given) for given in ((3, 1.2, 1), (4, 0.7, 0))),
    *((code_422, given) for given in (("zero", "x"), ("turned", "z"))),
    *((kernel_overlap, given) for given in ((4, 0.2, 1), (5, 0.5, 2), (7, 0.2, 3))),
    *((excitations, given) for given in ((4, 1), (6, 2))),
    *((quantum_volume, given) for given in ((4, 1), (5, 2))),
    *((bell_angles, given) for given in ((4, 1), (6, 2))),
    *((rabi, given) for given in ((4, 0.7), (6, 1.4))),
    *((teleportation, given) for given in ((1, 0.9), (2, 2.2))),
    *((iterative_phase, given) for given in ((4, 5 / 16), (4, 0.3))),
)
"""Families and what they are given."""

FAMILIES = tuple(dict.fromkeys(family.__name__ for family, _ in CASES))
"""Names of the families."""


def cases() -> list[Case]:
    """Build every circuit; a name is its family and what it was given: ``dicke-6-2``."""
    return [named(family, given) for family, given in CASES]


def named(family: Callable[..., QuantumCircuit], given: tuple[object, ...]) -> Case:
    """Build a circuit with its exact ideal output, named by its family and what it was given."""
    circuit = family(*given)
    if not circuit.num_clbits:
        circuit.measure_all()
    name = "-".join(str(value) for value in (family.__name__, *given))
    circuit.name = name
    flows = any(step.operation.name in ("if_else", "reset") for step in circuit.data)
    return Case(name, family.__name__, circuit, lambda: enumerate_branches(circuit) if flows else simulate(circuit))


def enumerate_branches(circuit: QuantumCircuit) -> Distribution:
    """Exact output of a circuit that measures, resets and decides in the middle: every outcome is followed.

    Conditions are on single bits. Cost: a state vector for each outcome of each measurement.
    """
    found: Counter[str] = Counter()
    start = Statevector.from_int(0, 2**circuit.num_qubits)
    pending = [(start, (0,) * circuit.num_clbits, list(circuit.data))]
    while pending:
        state, bits, steps = pending.pop()
        for place, step in enumerate(steps):
            name, rest = step.operation.name, steps[place + 1 :]
            if name == "barrier":
                continue
            if name == "if_else":
                bit, value = step.operation.condition
                if bits[circuit.find_bit(bit).index] == value:
                    rest = [*_inlined(step), *rest]
                pending.append((state, bits, rest))
                break
            qubits = [circuit.find_bit(qubit).index for qubit in step.qubits]
            if name not in ("measure", "reset"):
                state = state.evolve(step.operation, qubits)
                continue
            for outcome in (0, 1):
                kept = _projected(state, qubits[0], outcome, reset=name == "reset")
                if (kept.data.conj() @ kept.data).real > 1e-14:
                    read = list(bits)
                    if name == "measure":
                        read[circuit.find_bit(step.clbits[0]).index] = outcome
                    pending.append((kept, tuple(read), rest))
            break
        else:
            found["".join(map(str, reversed(bits)))] += (state.data.conj() @ state.data).real
    return Distribution.of(dict(found), num_bits=circuit.num_clbits)


def _inlined(step: CircuitInstruction) -> list[CircuitInstruction]:
    """Steps of the block that is run, on the circuit's own bits."""
    block = step.operation.blocks[0]
    own = dict(zip([*block.qubits, *block.clbits], [*step.qubits, *step.clbits], strict=True))
    return [
        inner.replace(qubits=[own[bit] for bit in inner.qubits], clbits=[own[bit] for bit in inner.clbits])
        for inner in block.data
    ]


def _projected(state: Statevector, qubit: int, outcome: int, *, reset: bool) -> Statevector:
    """The part with this outcome, not normalised; the qubit then set to 0 if it is reset."""
    tensor = state.data.reshape(-1, 2, 2**qubit)
    kept = np.zeros_like(tensor)
    kept[:, 0 if reset else outcome] = tensor[:, outcome]
    return Statevector(kept.ravel())
