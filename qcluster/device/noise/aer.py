"""Aer noise of a machine, built from its calibration for the gates and qubits that a circuit uses.

Each gate's channel follows Aer's own recipe: depolarisation and relaxation that together give the published error.
Building channels only where they are used takes milliseconds, while the model of a whole machine takes seconds. The two
readout errors of a qubit stay distinct. Channels are cached by their parameters, so the cache cannot be stale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.device.circuits import pauli
from qcluster.device.circuits.timeline import SILENT, census, delay_seconds, has_blocks, steps, with_blocks

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.machines.calibration import Calibration


def noise_model(
    circuits: Iterable[QuantumCircuit], calibration: Calibration, number: Mapping[int, int] | None = None
) -> Any:
    """Build an Aer `NoiseModel` of the gates and readouts that compiled circuits use; `wait_noise` adds idle noise.

    `number` gives the number of each physical qubit in the model; by default it is that of the qubit.
    """
    from qiskit_aer.noise import NoiseModel, ReadoutError

    operations = (step for circuit in circuits for step in steps(circuit))
    places = {(item.name, qubits) for item, qubits, _, _ in operations if item.name not in SILENT}
    model = NoiseModel()
    for name, qubits in sorted(places):
        numbers = list(qubits) if number is None else [number[q] for q in qubits]
        if name == "measure":
            p10, p01 = calibration.assumed_readout(qubits[0])
            if p10 or p01:
                model.add_readout_error(ReadoutError([[1 - p10, p10], [p01, 1 - p01]]), numbers)
        elif len(qubits) in (1, 2) and name != "reset":
            error = gate_channel(*channel_arguments(calibration, name, qubits))
            if error is not None:
                model.add_quantum_error(error, name, numbers)
    return model


def wait_noise(circuit: QuantumCircuit, calibration: Calibration, dt: float | None) -> QuantumCircuit:
    """Insert relaxation after every delay on a circuit's active qubits, in control flow as well."""
    _, used, _ = census(circuit)

    def noise_of(delay: Any, qubit: int) -> Any:
        if qubit not in used:
            return None
        error = gate_channel(*channel_arguments(calibration, "delay", (qubit,), delay_seconds(delay, dt)))
        return None if error is None else error.to_instruction()

    return _after_delays(circuit, range(circuit.num_qubits), noise_of)


def _after_delays(scope: QuantumCircuit, qubits: Sequence[int], noise_of: Callable[[Any, int], Any]) -> QuantumCircuit:
    """Insert the instruction ``noise_of(delay, qubit)`` after each delay of a circuit or block on physical `qubits`."""
    from qiskit.circuit import Delay
    from qiskit_aer.noise.passes import LocalNoisePass

    noisy: QuantumCircuit = LocalNoisePass(lambda delay, at: noise_of(delay, qubits[at[0]]), op_types=Delay)(scope)
    for i, item in enumerate(noisy.data):
        if has_blocks(item):
            outer = [qubits[noisy.find_bit(qubit).index] for qubit in item.qubits]
            blocks = [_after_delays(block, outer, noise_of) for block in item.operation.blocks]
            noisy.data[i] = item.replace(operation=with_blocks(item.operation, blocks))
    return noisy


def channel_arguments(
    calibration: Calibration, name: str, qubits: Iterable[int], wait: float = 0.0
) -> tuple[float, float, tuple[tuple[float, float], ...]]:
    """Look up the arguments of `gate_channel` for a gate, or for a delay of `wait` seconds.

    Missing figures are replaced as in `Calibration.assumed_error`. A gate that the calibration does not list has no
    error; neither has a delay.
    """
    qubits = tuple(qubits)
    times = tuple(calibration.coherence(q) for q in qubits)
    if name == "delay":
        return 0.0, wait, times
    error, seconds = calibration.assumed_error(name, qubits), calibration.duration(name, qubits)
    return 0.0 if np.isnan(error) else error, 0.0 if np.isnan(seconds) else seconds, times


@lru_cache(maxsize=8192)
def gate_channel(error: float, seconds: float, times: tuple[tuple[float, float], ...]) -> Any:
    """Build the noise channel of one gate by Aer's recipe for devices; None if the gate is noiseless.

    Args:
        error: average gate infidelity; 0 for a delay.
        seconds: duration of the gate.
        times: (T1, T2) of each of its qubits, in seconds.
    """
    from qiskit.circuit.library import CZGate, XGate
    from qiskit.transpiler import InstructionProperties, QubitProperties, Target
    from qiskit_aer.noise.device import basic_device_gate_errors

    width = len(times)
    target = Target(num_qubits=width, qubit_properties=[QubitProperties(t1=t1, t2=t2) for t1, t2 in times])
    properties = InstructionProperties(duration=seconds, error=error)
    target.add_instruction(XGate() if width == 1 else CZGate(), {tuple(range(width)): properties})
    errors = basic_device_gate_errors(target=target)
    return errors[0][2] if errors and not errors[0][2].ideal() else None


@lru_cache(maxsize=8192)
def pauli_shares(error: float, seconds: float, times: tuple[tuple[float, float], ...]) -> Floats:
    """Return the Pauli twirl of `gate_channel`: the probability of each Pauli error.

    The channel's transfer matrix has the diagonal f = (1, e^(-t/T2), e^(-t/T2), e^(-t/T1)) for I, X, Y, Z on each
    qubit, all but the identity times 1 - p for the depolarising part (`pauli.depolarising_strength`). Then
    P(Q) = 4^-n sum_P (-1)^<P,Q> f_P, where <P,Q> is 1 if the Paulis anticommute.

    Args:
        error, seconds, times: as in `gate_channel`.

    Returns:
        (4,) or (4, 4) probabilities, which sum to 1; axis 0 is the first qubit, in the order I, X, Y, Z.
    """
    t1, t2 = np.array(times).T
    t2 = np.minimum(t2, 2 * t1)
    diagonal = np.ones(())
    for f1, f2 in zip(np.exp(-seconds / t1), np.exp(-seconds / t2), strict=True):
        diagonal = np.multiply.outer(diagonal, np.array([1.0, f2, f2, f1]))
    strength = pauli.depolarising_strength(error, seconds, t1, t2)
    if strength > 0:
        diagonal = diagonal * (1 - min(strength, 1 / (1 - 1 / diagonal.size)))
        diagonal[(0,) * len(times)] = 1.0
    signs = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
    for axis in range(len(times)):
        diagonal = np.moveaxis(np.tensordot(signs, diagonal, axes=(1, axis)), 0, axis)
    shares: Floats = np.clip(diagonal, 0.0, None)
    shares /= shares.sum()
    shares.flags.writeable = False
    return shares
