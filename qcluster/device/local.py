"""Simulation of requests on this computer, both for `qcluster.execute` and for saved jobs."""

from __future__ import annotations

from collections.abc import Collection
from copy import copy
from typing import TYPE_CHECKING, Any

from qcluster.device.circuits.timeline import has_blocks
from qcluster.device.noise.simulate import REPRODUCIBLE_OPTIONS, run_on_backend, run_on_simulator, simulate

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.core.counts.distribution import Distribution
    from qcluster.device.machines.machine import Machine
    from qcluster.device.request import Request


def simulate_request(request: Request, machine: Machine | None) -> list[list[Distribution]]:
    """Run a request on this computer; returns the counts of each circuit, by twirl."""
    counts = []
    for i, prepared in enumerate(request.prepared):
        circuits = [_without_idle_pulses(circuit, prepared.profile.active) for circuit in prepared.circuits]
        seed = (request.simulator_seed + 7919 * i) % 2**31
        if prepared.method == "aer" and machine is not None:
            counts.append(run_on_simulator(_reproducible(machine.backend), circuits, prepared.shots, seed))
        elif prepared.method == "backend" and machine is not None:
            counts.append(run_on_backend(machine.backend, prepared.circuits, prepared.shots, seed))
        else:
            settings: dict[str, Any] = {"method": prepared.method, "dt": request.dt, "seed": seed}
            counts.append(simulate(circuits, prepared.shots, request.calibration, **settings))
    return counts


def _without_idle_pulses(circuit: QuantumCircuit, active: Collection[int]) -> QuantumCircuit:
    """Remove gates on qubits that only twirling uses, as strategy="all" adds them.

    These qubits interact with no other qubit and are not measured, and the simulation has no crosstalk, so the counts
    stay the same. With the gates kept, the simulator would have to hold every qubit of the machine.
    """
    keep = {circuit.qubits[q] for q in active}
    # Control flow stays even if it acts on no qubit, since it may store bits.
    idle = [bool(item.qubits) and not has_blocks(item) and keep.isdisjoint(item.qubits) for item in circuit.data]
    if all(item.name in {"barrier", "delay"} for item, rests in zip(circuit.data, idle, strict=True) if rests):
        return circuit
    result = circuit.copy_empty_like()
    for item, rests in zip(circuit.data, idle, strict=True):
        if item.name == "barrier":
            result.barrier([qubit for qubit in item.qubits if qubit in keep])
        elif not rests:
            result._append(item)
    return result


def _reproducible(simulator: Any) -> Any:
    """Copy a simulator so that its counts do not depend on the number of threads; the original is not changed."""
    reproducible = copy(simulator)
    reproducible._options = copy(simulator.options)
    reproducible.set_options(**REPRODUCIBLE_OPTIONS)
    return reproducible
