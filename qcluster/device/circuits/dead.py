"""Parts of a machine that are out of order: find them in a compiled circuit, and remove them from a target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcluster.device.circuits.timeline import SILENT, has_blocks, is_measurement, steps

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit
    from qiskit.transpiler import Target

    from qcluster.device.circuits.profile import Profile
    from qcluster.device.machines.calibration import Calibration


def dead_parts(profile: Profile, calibration: Calibration) -> tuple[str, ...]:
    """List the parts that a compiled circuit uses although the calibration marks them as out of order.

    Returns:
        Names such as "qubit 3", "ecr on (4, 5)" or "readout of qubit 7", sorted by qubit. Empty if there are none.

    Example:
        >>> import dataclasses
        >>> import numpy as np
        >>> from qiskit import QuantumCircuit
        >>> from qcluster.device import Calibration, read_profile
        >>> circuit = QuantumCircuit(2)
        >>> _ = circuit.measure_all()
        >>> calibration = dataclasses.replace(Calibration.ideal(2), readout=np.array([[0.0, 0.0], [1.0, 1.0]]))
        >>> dead_parts(read_profile(circuit), calibration)
        ('readout of qubit 1',)
    """
    faulty = {q for q in profile.active.tolist() if q < calibration.n_qubits and calibration.is_faulty(q)}
    parts: set[tuple[tuple[int, ...], str]] = {((q,), f"qubit {q}") for q in faulty}
    for gate, qubits in profile.gates:
        if not faulty.intersection(qubits) and calibration.is_dead(gate, qubits):
            place = f"({', '.join(map(str, qubits))})" if len(qubits) > 1 else f"qubit {qubits[0]}"
            parts.add((qubits, f"{gate} on {place}"))
    for qubit in profile.measured[profile.measured >= 0].tolist():
        if qubit not in faulty and calibration.is_dead("measure", (qubit,)):
            parts.add(((qubit,), f"readout of qubit {qubit}"))
    return tuple(name for _, name in sorted(parts))


def target_without_dead_parts(target: Target, calibration: Calibration) -> Any:
    """Copy a target without its dead qubits, couplings and gates, so that no circuit is laid out over them."""
    from qiskit.transpiler import Target

    dead = {(q,) for q in calibration.dead_qubits.nonzero()[0].tolist()}
    dead |= {tuple(pair) for pair in calibration.couplings[calibration.dead_couplings].tolist()}
    living = Target(
        num_qubits=target.num_qubits,
        dt=target.dt,
        granularity=target.granularity,
        min_length=target.min_length,
        pulse_alignment=target.pulse_alignment,
        acquire_alignment=target.acquire_alignment,
        qubit_properties=target.qubit_properties,
    )
    for name in target.operation_names:
        operation, places = target.operation_from_name(name), target[name]
        if isinstance(operation, type):
            living.add_instruction(operation, name=name)
            continue
        if places is not None and None not in places:
            places = {
                qubits: properties
                for qubits, properties in places.items()
                if qubits not in dead
                and not any((q,) in dead for q in qubits)
                and not (getattr(properties, "error", None) or 0.0) >= 1
            }
            if not places:
                continue
        living.add_instruction(operation, places, name=name)
    return living


def can_hold(target: Target, circuit: QuantumCircuit) -> bool:
    """Return whether a target has measurements, and gates on as many qubits (one, two) as the circuit needs.

    Without this check, Qiskit's layout pass panics on such a target, where it should report that the circuit does not
    fit.
    """
    needed = {
        min(len(qubits), 2) for item, qubits, _, _ in steps(circuit) if item.name not in SILENT and not has_blocks(item)
    }
    offered = set()
    for name in target.operation_names:
        operation, places = target.operation_from_name(name), target[name]
        if places is None or None in places:
            offered.add(getattr(operation, "num_qubits", 0) if not isinstance(operation, type) else 0)
        else:
            offered.update(len(qubits) for qubits in places)
    return any(is_measurement(name) for name in target.operation_names) and needed - {0} <= offered
