"""Noisy simulation of compiled circuits: which method, with which noise, and the counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qcluster.core.counts.distribution import Distribution
from qcluster.core.words import many
from qcluster.device.noise.aer import noise_model, wait_noise
from qcluster.device.noise.frames import is_clifford, sample_clifford
from qcluster.device.storage import dressing
from qcluster.errors import JobError

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.circuits.profile import Profile
    from qcluster.device.machines.calibration import Calibration

METHODS = ("density_matrix", "stabilizer", "matrix_product_state", "statevector")
"""Simulation methods that `execute` takes."""

STEADY = {"max_parallel_experiments": 0, "max_parallel_shots": 1}
"""Options that let threads share circuits but not shots, since counts must not depend on the number of threads."""


def choose_method(circuit: QuantumCircuit, profile: Profile) -> str:
    """Choose a simulation method by size and structure.

    Up to 12 qubits in use the density matrix is exact and its cost hardly depends on shots. Beyond, Clifford circuits
    run on the stabilizer method with Pauli-twirled noise, shallow or very wide ones as matrix product states, the rest
    as state vectors, shot by shot.
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
    """Run compiled circuits with the noise of a calibration.

    Args:
        circuits: compiled and, for noise while waiting, scheduled; of one kind, so that one method fits all.
        shots: (n_circuits,) shots of each.
        calibration: the machine.
        method: one of `METHODS`. "stabilizer" uses the Pauli twirl of the noise, all others the noise itself.
        dt: seconds per unit of a delay given in "dt".
        seed: below 2**31; same seed, same counts, whatever the number of threads.
    """
    from qiskit_aer import AerSimulator

    if method == "stabilizer":
        return sample_clifford(circuits, shots, calibration, dt=dt, seed=seed)
    model = noise_model(circuits, calibration)
    noisy = [wait_noise(circuit, calibration, dt) for circuit in circuits]
    return run_on(AerSimulator(noise_model=model, method=method, **STEADY), noisy, shots, seed)


def run_on(simulator: Any, circuits: Sequence[QuantumCircuit], shots: Sequence[int], seed: int) -> list[Distribution]:
    """Run circuits on an AerSimulator as it is, each with its own number of shots; JobError where Aer fails."""
    counts: dict[int, Distribution] = {}
    for amount, chosen in _by_shots(shots):
        seeded = (seed + amount) % 2**31
        with dressing(lambda said: JobError(f"the simulation failed: {said}")):
            result = simulator.run([circuits[i] for i in chosen], shots=amount, seed_simulator=seeded).result()
        if not result.success:
            reason = next((r.status for r in result.results if not r.success), result.status)
            raise JobError(f"the simulation failed: {reason}")
        for place, i in enumerate(chosen):
            counts[i] = Distribution.of(result.data(place)["counts"], num_bits=circuits[i].num_clbits)
    return [counts[i] for i in range(len(circuits))]


def run_foreign(
    backend: Any, circuits: Sequence[QuantumCircuit], shots: Sequence[int], seed: int
) -> list[Distribution]:
    """Run circuits by a backend's own `run`, each with its own number of shots, no more at once than it takes.

    The seed is passed on where the backend has such an option. JobError where it fails, or counts other shots.
    """
    options = {"seed_simulator": seed} if hasattr(getattr(backend, "options", None), "seed_simulator") else {}
    most = getattr(backend, "max_circuits", None) or len(circuits)
    counts: dict[int, Distribution] = {}
    for amount, chosen in _by_shots(shots):
        for start in range(0, len(chosen), most):
            part = chosen[start : start + most]
            with dressing(lambda said: JobError(f"{backend.name} did not run the circuits: {said}")):
                result = backend.run([circuits[i] for i in part], shots=amount, **options).result()
                read = [result.get_counts(place) for place in range(len(part))]
            for i, found in zip(part, read, strict=True):
                counts[i] = Distribution.of(found, num_bits=circuits[i].num_clbits)
                if counts[i].shots != amount:
                    raise JobError(f"{backend.name} must give {many(amount, 'shot')}; it gave {counts[i].shots:.12g}")
    return [counts[i] for i in range(len(circuits))]


def _by_shots(shots: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Numbers of the circuits that have equal shots, with these, the fewest first."""
    return [(amount, [i for i, wanted in enumerate(shots) if wanted == amount]) for amount in sorted(set(shots))]


def as_result(counts: Sequence[Distribution]) -> Any:
    """Write counts as the service writes results, a `PrimitiveResult`; one register holds all classical bits."""
    from qiskit.primitives import BitArray, DataBin, PrimitiveResult, SamplerPubResult

    pubs = []
    for read in counts:
        rows = np.repeat(read.bits, read.weights.astype(np.int64), axis=0)
        pubs.append(SamplerPubResult(DataBin(all=BitArray.from_bool_array(rows, "little"))))
    return PrimitiveResult(pubs)


def split_shots(shots: int, parts: int) -> list[int]:
    """Divide shots over circuits as evenly as whole shots allow.

    Example:
        >>> split_shots(10, 4)
        [3, 3, 2, 2]
    """
    return [int(np.ceil((shots - i) / parts)) for i in range(parts)]
