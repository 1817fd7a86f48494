"""Large and long work: many strings, many shots, many PUBs, deep circuits, many calls."""

import resource
from pathlib import Path

import numpy as np
from qiskit import QuantumCircuit
from qiskit.primitives import BitArray

import qcluster as qc
from benchmarks.robustness.row import Row
from benchmarks.robustness.steady import given
from qcluster.device.machines.machine import find_machine

STRINGS, SHOTS, WIDTH = 5_000_000, 10_000_000, 127
RATE = 0.01
PUBS, TWO_QUBIT_GATES, CALLS, WARM = 300, 5_000, 10_000, 1_000
MOST_GROWTH = 8.0
"""Most growth of memory after the warm-up calls, in MiB."""


def whole(fixed: qc.Mitigation, shots: int) -> None:
    """Check that an answer has all shots and no negative weights."""
    if not np.isclose(fixed.distribution.shots, shots, rtol=1e-9) or not (fixed.distribution.weights >= 0).all():
        raise AssertionError(f"{shots} shots went in, {fixed.distribution.shots} came out")


def distinct_strings() -> str:
    """Mitigate counts in which all strings are distinct."""
    rng = np.random.default_rng(5)
    numbers = rng.choice(1 << 40, STRINGS + STRINGS // 10, replace=True)
    numbers = np.unique(numbers)[:STRINGS].astype(">u8")
    packed = numbers.view(np.uint8).reshape(-1, 8)[:, 3:]
    counts = qc.Distribution.of(BitArray(np.ascontiguousarray(packed), 40))
    if counts.n_outcomes != STRINGS:
        raise AssertionError(f"{counts.n_outcomes} distinct strings were read")
    fixed = qc.mitigate(counts)
    whole(fixed, STRINGS)
    return f"{STRINGS:,} strings of 40 bits; {fixed.distribution.n_outcomes:,} in the answer; {fixed.reason}"


def wide_shots() -> str:
    """Mitigate a GHZ state of 127 bits with flips at 1%, drawn in chunks and read from the packed array."""
    rng = np.random.default_rng(7)
    chunks = []
    for _ in range(SHOTS // 100_000):
        sent = np.repeat(rng.random((100_000, 1)) < 0.5, WIDTH, axis=1)
        chunks.append(BitArray.from_bool_array(sent ^ (rng.random(sent.shape, dtype=np.float32) < RATE)).array)
    array = BitArray(np.concatenate(chunks), WIDTH)
    chunks.clear()
    fixed = qc.mitigate(array)
    whole(fixed, SHOTS)
    top = fixed.distribution.top(2)
    if set(top) != {"0" * WIDTH, "1" * WIDTH}:
        raise AssertionError(f"the likeliest strings are {sorted(top)}")
    ghz = {"0" * WIDTH: 0.5, "1" * WIDTH: 0.5}
    before, after = (qc.metrics.hellinger_fidelity(counts, ghz) for counts in (fixed.raw, fixed.distribution))
    return f"{fixed.raw.n_outcomes:,} distinct; fidelity {before:.3f} -> {after:.3f}"


def chain(n_bits: int, angle: float) -> QuantumCircuit:
    circuit = QuantumCircuit(n_bits)
    circuit.ry(angle, 0)
    for qubit in range(n_bits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def many_pubs() -> str:
    """Run 300 PUBs with different widths, angles and shots in one job of the Sampler."""
    shots = [100 + k for k in range(PUBS)]
    pubs = [(chain(2 + k % 4, 0.01 * k), None, shots[k]) for k in range(PUBS)]
    result = qc.MitigatedSampler("fake_manila", seed=1).run(pubs).result()
    for k, pub in enumerate(result):
        array = pub.data.meas
        if (array.num_shots, array.num_bits) != (shots[k], 2 + k % 4):
            raise AssertionError(f"PUB {k} has {array.num_shots} shots of {array.num_bits} bits")
    return f"{len(result)} results, each with its register and shots"


def deep_circuit() -> str:
    """Run a Clifford circuit followed by its inverse, on all qubits of a machine, with a reference, and mitigate it."""
    backend = find_machine("fake_brisbane").backend
    rng = np.random.default_rng(3)
    edges = sorted({tuple(sorted(pair)) for pair in backend.coupling_map.get_edges()})
    half = QuantumCircuit(backend.num_qubits)
    while half.num_nonlocal_gates() < TWO_QUBIT_GATES // 2:
        for qubit in range(backend.num_qubits):
            (half.sx, half.x, half.id)[rng.integers(3)](qubit)
        free = set(range(backend.num_qubits))
        for edge in rng.permutation(len(edges)):
            pair = set(edges[edge])
            if pair <= free and half.num_nonlocal_gates() < TWO_QUBIT_GATES // 2:
                half.ecr(*(edges[edge] if backend.target["ecr"].get(edges[edge]) else edges[edge][::-1]))
                free -= pair
    circuit = half.copy()
    circuit.barrier()
    circuit.compose(half.inverse(), inplace=True)
    circuit.measure_all()
    (run,) = qc.execute([circuit], "fake_brisbane", shots=8192, twirls=4, optimization_level=0, reference=True, seed=1)
    gates = run.profile.circuit.num_nonlocal_gates()
    if gates < TWO_QUBIT_GATES:
        raise AssertionError(f"the compiled circuit has {gates} two-qubit gates")
    fixed = qc.mitigate(run)
    whole(fixed, 8192)
    return f"{gates:,} two-qubit gates on {backend.num_qubits} qubits: run, reference run, mitigated; {fixed.reason}"


def resident() -> float:
    """Return the resident memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / 2**20


def many_calls() -> str:
    """Call `mitigate` many times: counts alone, runs with references, the published method, intervals."""
    inputs = [item for item in given() if not isinstance(item, qc.Distribution) or item.n_bits <= 8]
    before = 0.0
    for call in range(CALLS):
        counts = inputs[call % len(inputs)]
        fixed = qc.mitigate(counts, 0.05, method="paper") if call % 4 == 1 else qc.mitigate(counts)
        if call % 500 == 2:
            fixed.interval("Z" * fixed.raw.n_bits, seed=0)
        if call == WARM:
            before = resident()
    grown = resident() - before
    if grown > MOST_GROWTH:
        raise AssertionError(f"memory grew by {grown:.1f} MiB")
    return f"{CALLS:,} calls; resident memory {before:.0f} MiB after {WARM:,}, {grown:+.1f} MiB at the end"


ROWS = (
    Row(f"{STRINGS:,} distinct strings", "mitigated, no shot lost", distinct_strings),
    Row(f"{SHOTS:,} shots of {WIDTH} bits", "mitigated, no shot lost, the right strings", wide_shots),
    Row(f"{PUBS} PUBs in one job", "every one answered as asked", many_pubs),
    Row(f"127 qubits, {TWO_QUBIT_GATES:,} two-qubit gates", "run, measured, mitigated", deep_circuit),
    Row(f"{CALLS:,} calls", f"memory grows by less than {MOST_GROWTH:.0f} MiB", many_calls),
)
