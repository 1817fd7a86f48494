"""Circuits of families outside `qcluster.bench`, with exact ideal outputs, for `benchmarks.outside`.

Each family is a function, and `CASES` lists the sizes that are run. Wide circuits couple neighbours only, so that
routing does not spread them over more qubits than a density matrix can represent.
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
    """Random products of H, S and T in a brick wall of CX gates."""
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
    """Hardware-efficient ansatz near its initial string: small RY and RZ rotations, CZ between neighbours."""
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
    """Amplitude estimation with n bits, giving two peaks with tails; the rotated qubit is measured, too."""
    circuit = QuantumCircuit(n + 1)
    angle = 2 * asin(sqrt(probability))
    circuit.ry(angle, n)
    circuit.h(range(n))
    for bit in range(n):
        circuit.cry(2 * angle * 2**bit, bit, n)
    circuit.append(library.QFTGate(n).inverse(), range(n))
    return circuit


def counting(n: int, marked: int) -> QuantumCircuit:
    """Quantum counting of the solutions among the four strings of two bits: phase estimation of a Grover step, n
    bits."""
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
    """Append a controlled phase flip of one string of the search register."""
    zeros = [qubit for k, qubit in enumerate(search) if not value >> k & 1]
    if zeros:
        circuit.x(zeros)
    circuit.ccz(control, *search)
    if zeros:
        circuit.x(zeros)


def order_finding(base: int) -> QuantumCircuit:
    """Order finding of a base modulo 15 (7: four peaks, 11: two) with three phase bits, on seven qubits."""
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
    """Addition of n-bit numbers in the Fourier basis; `superposed` bits of the first give 2^superposed sums."""
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
    """Look-up in a random table at all addresses at once: 2^address equally likely strings."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(address + data)
    circuit.h(range(address))
    for bit in range(data):
        circuit.append(library.UCRYGate(list(pi * rng.integers(0, 2, 2**address))), [address + bit, *range(address)])
    return circuit


def function_loading(n: int, frequency: float) -> QuantumCircuit:
    """Loading of sin^2 on a grid of 2^n points into an additional qubit, as in numerical quadrature."""
    circuit = QuantumCircuit(n + 1)
    circuit.h(range(n))
    grid = (np.arange(2**n) + 0.5) / 2**n
    circuit.append(library.UCRYGate(list(2 * frequency * grid)), [n, *range(n)])
    return circuit


def lognormal_loading(n: int, width: float) -> QuantumCircuit:
    """Loading of a log-normal density on 2^n points, as squared amplitudes."""
    grid = np.linspace(0.2, 3, 2**n)
    density = np.exp(-(np.log(grid) ** 2) / (2 * width**2)) / grid
    circuit = QuantumCircuit(n)
    circuit.append(library.StatePreparation(np.sqrt(density / density.sum())), range(n))
    return circuit


def heisenberg(n: int, steps: int, anisotropy: float) -> QuantumCircuit:
    """Evolution of the Neel state under an XXZ chain, in first-order Trotter steps."""
    circuit = QuantumCircuit(n)
    circuit.x(range(0, n, 2))
    for _ in range(steps):
        for left in [*range(0, n - 1, 2), *range(1, n - 1, 2)]:
            circuit.rxx(0.5, left, left + 1)
            circuit.ryy(0.5, left, left + 1)
            circuit.rzz(0.5 * anisotropy, left, left + 1)
    return circuit


def graph_state(n: int, ring: bool, seed: int) -> QuantumCircuit:
    """Cluster state on a line or ring, with a random rotation of each qubit before the measurement."""
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
    """Equal superposition of all strings with a given number of ones (Baertschi and Eidenbenz, arXiv:1904.07358)."""
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
                for half_angle in (angle / 2, -angle / 2):
                    circuit.ry(half_angle, target)
                    circuit.ccx(last, target + 1, target)
            circuit.cx(target, last)
    return circuit


def swap_test(n: int, seed: int) -> QuantumCircuit:
    """Swap test of two random states of n qubits each, with all 2n + 1 qubits measured."""
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
    """Repetition code: a rotated qubit encoded in n, with one flipped; data and n - 1 syndrome bits are measured."""
    circuit = QuantumCircuit(2 * n - 1)
    data, checks = range(0, 2 * n, 2), range(1, 2 * n - 1, 2)
    circuit.ry(angle, 0)
    for k in range(n - 1):
        circuit.cx(data[k], data[k + 1])
    circuit.x(data[error])
    for check in checks:
        circuit.cx(check - 1, check)
        circuit.cx(check + 1, check)
    return circuit


def code_422(logical: str, error: str) -> QuantumCircuit:
    """Two logical qubits in the [[4,2,2]] code with both checks, on six qubits.

    Args:
        logical: "zero" for the logical state 00, or "turned" to rotate it.
        error: Pauli gate on one data qubit: "x", "z", or "id".
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
    """Overlap of two feature vectors: one feature map, then the inverse of the other; a peak at zero and a tail."""
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
    """Unitary coupled cluster: half-filled orbitals with one double excitation and several single ones."""
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
    """Model circuit of quantum volume: n layers of random two-qubit unitaries on random pairs."""
    return library.quantum_volume(n, seed=seed).decompose()


def bell_angles(n: int, seed: int) -> QuantumCircuit:
    """Bell pairs (n even) measured at random angles, as in a test of Bell's inequality."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n)
    for left in range(0, n, 2):
        circuit.h(left)
        circuit.cx(left, left + 1)
    for qubit in range(n):
        circuit.ry(rng.choice([0, pi / 4, pi / 2, 3 * pi / 4]), qubit)
    return circuit


def rabi(n: int, time: float) -> QuantumCircuit:
    """Unentangled qubits driven at different rates for the same time."""
    circuit = QuantumCircuit(n)
    for qubit in range(n):
        circuit.rx(time * (1 + 0.3 * qubit), qubit)
    return circuit


def teleportation(hops: int, angle: float) -> QuantumCircuit:
    """Teleportation of a rotated qubit along 2 hops + 1 qubits, with feed-forward; all measurements are kept."""
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
    """Iterative phase estimation with one reused qubit and feed-forward; the eigenstate is on two more qubits."""
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


def rotated_blocks(n: int, block: int, angle: float) -> QuantumCircuit:
    """GHZ states on blocks of so many qubits, or single qubits, all of which are then rotated by one angle."""
    circuit = QuantumCircuit(n)
    for first in range(0, n, block):
        if block > 1:
            circuit.h(first)
        for left in range(first, first + block - 1):
            circuit.cx(left, left + 1)
    circuit.ry(angle, range(n))
    return circuit


def rotated_w(n: int, angle: float) -> QuantumCircuit:
    """A W state whose qubits are all rotated by one angle."""
    circuit = QuantumCircuit(n)
    circuit.x(0)
    for left in range(n - 1):
        circuit.cry(2 * acos(sqrt(1 / (n - left))), left, left + 1)
        circuit.cx(left + 1, left)
    circuit.ry(angle, range(n))
    return circuit


def equal_layers(n: int, layers: int, angle: float) -> QuantumCircuit:
    """Layers of one angle on all qubits, with CZ gates between neighbours."""
    circuit = QuantumCircuit(n)
    for _ in range(layers):
        circuit.ry(angle, range(n))
        for left in range(n - 1):
            circuit.cz(left, left + 1)
    circuit.ry(angle, range(n))
    return circuit


Listed = tuple[tuple[Callable[..., QuantumCircuit], tuple[object, ...]], ...]
"""Families, and the arguments of each circuit."""
CASES: Listed = (
    *((clifford_t, arguments) for arguments in ((4, 4, 1), (5, 3, 2), (6, 4, 3), (7, 3, 4), (8, 3, 5))),
    *((small_angles, arguments) for arguments in ((4, 2, 1), (6, 2, 2), (8, 3, 3), (10, 2, 4))),
    *((amplitude_estimation, arguments) for arguments in ((3, 0.3), (4, 0.2), (4, 0.5))),
    *((counting, arguments) for arguments in ((3, 1), (3, 2))),
    *((order_finding, arguments) for arguments in ((7,), (11,))),
    *((draper, arguments) for arguments in ((2, 1, 2, 0), (3, 5, 6, 0), (3, 2, 3, 2), (2, 0, 1, 2))),
    *((qram, arguments) for arguments in ((2, 2, 1), (2, 4, 2), (3, 2, 3))),
    *((function_loading, arguments) for arguments in ((3, 2.0), (4, 1.5))),
    *((lognormal_loading, arguments) for arguments in ((3, 0.4), (4, 0.3), (5, 0.5))),
    *((heisenberg, arguments) for arguments in ((4, 3, 1.0), (6, 2, 0.5), (8, 1, 1.5))),
    *((graph_state, arguments) for arguments in ((4, False, 1), (6, True, 2), (8, False, 3), (10, False, 4))),
    *((dicke, arguments) for arguments in ((4, 2), (5, 2), (6, 2), (6, 3))),
    *((swap_test, arguments) for arguments in ((1, 1), (2, 2))),
    *((repetition_code, arguments) for arguments in ((3, 1.2, 1), (4, 0.7, 0))),
    *((code_422, arguments) for arguments in (("zero", "x"), ("turned", "z"))),
    *((kernel_overlap, arguments) for arguments in ((4, 0.2, 1), (5, 0.5, 2), (7, 0.2, 3))),
    *((excitations, arguments) for arguments in ((4, 1), (6, 2))),
    *((quantum_volume, arguments) for arguments in ((4, 1), (5, 2))),
    *((bell_angles, arguments) for arguments in ((4, 1), (6, 2))),
    *((rabi, arguments) for arguments in ((4, 0.7), (6, 1.4))),
    *((teleportation, arguments) for arguments in ((1, 0.9), (2, 2.2))),
    *((iterative_phase, arguments) for arguments in ((4, 5 / 16), (4, 0.3))),
)
ROTATED: Listed = (
    *((rotated_blocks, arguments) for arguments in ((4, 1, 0.3), (6, 1, 0.5), (8, 1, 0.2), (8, 1, 0.35))),
    *((rotated_blocks, arguments) for arguments in ((4, 4, 0.3), (6, 6, 0.5), (8, 8, 0.35), (9, 9, 0.2))),
    *((rotated_blocks, arguments) for arguments in ((4, 2, 0.5), (6, 3, 0.35), (8, 4, 0.35), (8, 2, 0.2))),
    *((rotated_w, arguments) for arguments in ((4, 0.3), (5, 0.5))),
    *((equal_layers, arguments) for arguments in ((4, 1, 0.4), (6, 2, 0.2), (8, 1, 0.3))),
)
"""Circuits that end with one rotation of all qubits. Their outputs look like fewer strings seen through bit flips."""

FAMILIES = tuple(dict.fromkeys(family.__name__ for family, _ in CASES))
"""Names of the families."""


def cases(listed: Listed = CASES) -> list[Case]:
    """Build circuits; a name consists of the family and its arguments, such as ``dicke-6-2``."""
    return [named(family, arguments) for family, arguments in listed]


def named(family: Callable[..., QuantumCircuit], arguments: tuple[object, ...]) -> Case:
    """Build a circuit with its exact ideal output, named by its family and arguments."""
    circuit = family(*arguments)
    if not circuit.num_clbits:
        circuit.measure_all()
    name = "-".join(str(value) for value in (family.__name__, *arguments))
    circuit.name = name
    dynamic = any(step.operation.name in ("if_else", "reset") for step in circuit.data)
    return Case(name, family.__name__, circuit, lambda: enumerate_branches(circuit) if dynamic else simulate(circuit))


def enumerate_branches(circuit: QuantumCircuit) -> Distribution:
    """Return the exact output of a circuit with mid-circuit measurements, resets and conditions on single bits.

    Every measurement outcome is followed as a separate branch. Cost: a state vector per branch.
    """
    probabilities: Counter[str] = Counter()
    start = Statevector.from_int(0, 2**circuit.num_qubits)
    pending = [(start, (0,) * circuit.num_clbits, list(circuit.data))]
    while pending:
        state, bits, steps = pending.pop()
        for k, step in enumerate(steps):
            name, rest = step.operation.name, steps[k + 1 :]
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
                branch = _projected(state, qubits[0], outcome, reset=name == "reset")
                if (branch.data.conj() @ branch.data).real > 1e-14:
                    new_bits = list(bits)
                    if name == "measure":
                        new_bits[circuit.find_bit(step.clbits[0]).index] = outcome
                    pending.append((branch, tuple(new_bits), rest))
            break
        else:
            probabilities["".join(map(str, reversed(bits)))] += (state.data.conj() @ state.data).real
    return Distribution.of(dict(probabilities), num_bits=circuit.num_clbits)


def _inlined(step: CircuitInstruction) -> list[CircuitInstruction]:
    """Return the instructions of the conditional block, on the bits of the circuit."""
    block = step.operation.blocks[0]
    outer = dict(zip([*block.qubits, *block.clbits], [*step.qubits, *step.clbits], strict=True))
    return [
        inner.replace(qubits=[outer[bit] for bit in inner.qubits], clbits=[outer[bit] for bit in inner.clbits])
        for inner in block.data
    ]


def _projected(state: Statevector, qubit: int, outcome: int, *, reset: bool) -> Statevector:
    """Return the unnormalised projection on an outcome of a qubit, with the qubit set to 0 for a reset."""
    tensor = state.data.reshape(-1, 2, 2**qubit)
    projected = np.zeros_like(tensor)
    projected[:, 0 if reset else outcome] = tensor[:, outcome]
    return Statevector(projected.ravel())
