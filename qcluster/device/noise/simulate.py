"""Noisy simulation of compiled circuits: choice of the method, execution, and results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qcluster.core.counts.distribution import Distribution
from qcluster.core.words import plural
from qcluster.device.circuits.timeline import SILENT, has_blocks, steps, with_blocks
from qcluster.device.interrupt import in_foreign_code
from qcluster.device.noise.aer import noise_model, wait_noise
from qcluster.device.noise.frames import is_clifford, sample_clifford
from qcluster.device.storage import replacing_errors
from qcluster.errors import JobError

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.circuits.profile import Profile
    from qcluster.device.machines.calibration import Calibration

METHODS = ("density_matrix", "stabilizer", "matrix_product_state", "statevector")
"""Simulation methods that `execute` takes."""

REPRODUCIBLE_OPTIONS = {"max_parallel_experiments": 0, "max_parallel_shots": 1}
"""Aer options that run circuits in parallel but not shots, so that counts do not depend on the number of threads."""


def choose_method(circuit: QuantumCircuit, profile: Profile) -> str:
    """Choose a simulation method by the size and structure of a circuit.

    Up to 12 active qubits, the density matrix is exact, and its cost hardly depends on the shots. Above, Clifford
    circuits are simulated by the stabilizer method with Pauli-twirled noise; shallow or very wide circuits as matrix
    product states; the rest as state vectors, shot by shot.
    """
    width = len(profile.active)
    if width <= 12:
        return "density_matrix"
    if is_clifford(circuit):
        return "stabilizer"
    return "matrix_product_state" if width > 16 or profile.two_qubit_depth <= 4 * width else "statevector"


def simulate(
    circuits: Sequence[QuantumCircuit],
    shots: Sequence[int],
    calibration: Calibration,
    *,
    method: str,
    dt: float | None,
    seed: int,
) -> list[Distribution]:
    """Simulate compiled circuits with the noise of a calibration.

    Args:
        circuits: compiled circuits, scheduled if idle noise matters; all must be suited to the method.
        shots: (n_circuits,) shots of each circuit.
        calibration: calibration of the machine.
        method: one of `METHODS`. "stabilizer" uses the Pauli twirl of the noise, all others the noise itself.
        dt: seconds per unit of a delay given in "dt".
        seed: seed below 2**31; the same seed gives the same counts, whatever the number of threads.
    """
    from qiskit_aer import AerSimulator

    if method == "stabilizer":
        return sample_clifford(circuits, shots, calibration, dt=dt, seed=seed)
    noisy = [wait_noise(circuit, calibration, dt) for circuit in circuits]
    used = sorted(set().union(*map(_used, circuits)))
    model = noise_model(circuits, calibration, {qubit: i for i, qubit in enumerate(used)})
    noisy = [_on_qubits(circuit, used) for circuit in noisy]
    return run_on_simulator(AerSimulator(noise_model=model, method=method, **REPRODUCIBLE_OPTIONS), noisy, shots, seed)


def _used(circuit: QuantumCircuit) -> set[int]:
    """Return the qubits that gates, measurements and control flow act on."""
    return {q for item, qubits, *_ in steps(circuit) if item.name not in SILENT for q in qubits}


def _on_qubits(circuit: QuantumCircuit, used: Sequence[int]) -> QuantumCircuit:
    """Copy a scheduled circuit onto the qubits in use.

    Aer itself leaves out the others, but not in a circuit with both control flow and a `store`, or with an empty body.
    """
    from qiskit.circuit import QuantumCircuit

    kept = [circuit.qubits[qubit] for qubit in used]
    result = QuantumCircuit(kept, circuit.clbits, *circuit.cregs, name=circuit.name, global_phase=circuit.global_phase)
    for item in circuit.data:
        if item.name != "barrier" and set(item.qubits) <= set(kept):
            result.append(item)
    return result


def run_on_simulator(
    simulator: Any, circuits: Sequence[QuantumCircuit], shots: Sequence[int], seed: int
) -> list[Distribution]:
    """Run circuits on the given AerSimulator, each with its own number of shots; JobError if Aer fails."""
    counts: dict[int, Distribution] = {}
    ready = [_for_aer(circuit) for circuit in circuits]
    for n_shots, indices in _by_shots(shots):
        group_seed = (seed + n_shots) % 2**31
        with replacing_errors(lambda said: JobError(f"the simulation failed: {said}")), in_foreign_code():
            result = simulator.run([ready[i] for i in indices], shots=n_shots, seed_simulator=group_seed).result()
        if not result.success:
            reason = next((r.status for r in result.results if not r.success), result.status)
            raise JobError(f"the simulation failed: {reason}")
        for place, i in enumerate(indices):
            read = Distribution.of(result.data(place)["counts"], num_bits=ready[i].num_clbits)
            added = ready[i].num_clbits > circuits[i].num_clbits
            counts[i] = read.marginal(range(circuits[i].num_clbits)) if added else read
    return [counts[i] for i in range(len(circuits))]


def _for_aer(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return a circuit that Aer 0.18 runs as written; one without a classical program is seldom changed.

    Aer always runs a body of control flow that acts on no qubit, whatever the condition. With readout errors, it has no
    memory for bits above the last one that is measured: what is stored there is lost, and an expression that reads it
    fails. So such bodies get a qubit, and one more bit is measured at the end.
    """
    from qiskit.circuit import Clbit, Qubit

    if not any(has_blocks(item) or item.name == "store" for item in circuit.data):
        return _without_overwritten(circuit)
    if not circuit.qubits:
        circuit = circuit.copy()
        circuit.add_bits([Qubit()])
    result = _with_qubits(circuit)
    measured = {bit for item, _, bits, _ in steps(circuit) if item.name == "measure" for bit in bits}
    if circuit.num_clbits - 1 not in measured:
        result.add_bits([Clbit()])
        result.measure(0, circuit.num_clbits)
    return result


def _without_overwritten(circuit: QuantumCircuit) -> QuantumCircuit:
    """Redirect measurements that others overwrite to one more bit, since Aer adds up the readout errors of both.

    The measurements themselves stay: the noise may have an error that acts on the qubit.
    """
    from qiskit.circuit import Clbit

    measured = {i: item.clbits[0] for i, item in enumerate(circuit.data) if item.name == "measure"}
    last = {bit: i for i, bit in measured.items()}
    lost = {i for i, bit in measured.items() if last[bit] != i}
    if not lost:
        return circuit
    result: QuantumCircuit = circuit.copy_empty_like()
    spare = Clbit()
    result.add_bits([spare])
    for i, item in enumerate(circuit.data):
        result._append(item.replace(clbits=[spare]) if i in lost else item)
    return result


def _with_qubits(scope: QuantumCircuit) -> QuantumCircuit:
    """Copy a circuit or block, and give control flow that acts on no qubit the first one."""
    from qiskit.circuit import Qubit

    result: QuantumCircuit = scope.copy_empty_like()
    for item in scope.data:
        if has_blocks(item):
            blocks = [block.copy() for block in item.operation.blocks]
            for block in () if item.qubits else blocks:
                block.add_bits([Qubit()])
            operation = with_blocks(item.operation, [_with_qubits(block) for block in blocks])
            item = item.replace(operation=operation, qubits=item.qubits or scope.qubits[:1])
        result._append(item)
    return result


def run_on_backend(
    backend: Any, circuits: Sequence[QuantumCircuit], shots: Sequence[int], seed: int
) -> list[Distribution]:
    """Run circuits by a backend's own `run`, each with its own number of shots.

    At most `backend.max_circuits` circuits are sent at once. The seed is passed on if the backend has such an option.

    Raises:
        JobError: the backend fails, or returns another number of shots.
    """
    options = {"seed_simulator": seed} if hasattr(getattr(backend, "options", None), "seed_simulator") else {}
    limit = getattr(backend, "max_circuits", None) or len(circuits)
    counts: dict[int, Distribution] = {}
    for n_shots, indices in _by_shots(shots):
        for start in range(0, len(indices), limit):
            batch = indices[start : start + limit]
            with replacing_errors(lambda said: JobError(f"{backend.name} did not run the circuits: {said}")):
                result = backend.run([circuits[i] for i in batch], shots=n_shots, **options).result()
                read = [result.get_counts(place) for place in range(len(batch))]
            for i, raw in zip(batch, read, strict=True):
                counts[i] = Distribution.of(raw, num_bits=circuits[i].num_clbits)
                if counts[i].shots != n_shots:
                    raise JobError(
                        f"{backend.name} must give {plural(n_shots, 'shot')}; it gave {counts[i].shots:.12g}"
                    )
    return [counts[i] for i in range(len(circuits))]


def _by_shots(shots: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Group circuits by their shots: each number of shots, in increasing order, with the indices of its circuits."""
    return [(n_shots, [i for i, each in enumerate(shots) if each == n_shots]) for n_shots in sorted(set(shots))]


def as_result(counts: Sequence[Distribution]) -> Any:
    """Convert counts to a `PrimitiveResult`, the format of the service's results, with one register "all"."""
    from qiskit.primitives import BitArray, DataBin, PrimitiveResult, SamplerPubResult

    pubs = []
    for read in counts:
        rows = np.repeat(read.bits, read.weights.astype(np.int64), axis=0)
        pubs.append(SamplerPubResult(DataBin(all=BitArray.from_bool_array(rows, "little"))))
    return PrimitiveResult(pubs)


def split_shots(shots: int, parts: int) -> list[int]:
    """Divide shots among circuits as evenly as possible.

    Example:
        >>> split_shots(10, 4)
        [3, 3, 2, 2]
    """
    return [int(np.ceil((shots - i) / parts)) for i in range(parts)]
