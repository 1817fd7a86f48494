"""Requests that are simulated on this computer, for `qcluster.execute` and for saved jobs alike."""

from __future__ import annotations

from collections.abc import Collection
from copy import copy
from typing import TYPE_CHECKING, Any

from qcluster.device.noise.simulate import STEADY, run_foreign, run_on, simulate

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.core.counts.distribution import Distribution
    from qcluster.device.machines.machine import Machine
    from qcluster.device.request import Request


def simulate_request(request: Request, machine: Machine | None) -> list[list[Distribution]]:
    """Run a request on a local machine; counts per circuit and twirl."""
    counts = []
    for i, prepared in enumerate(request.prepared):
        circuits = [_in_use(circuit, prepared.profile.active) for circuit in prepared.circuits]
        seed = (request.simulator_seed + 7919 * i) % 2**31
        if prepared.method == "aer" and machine is not None:
            counts.append(run_on(_steady(machine.backend), circuits, prepared.shots, seed))
        elif prepared.method == "backend" and machine is not None:
            counts.append(run_foreign(machine.backend, prepared.circuits, prepared.shots, seed))
        else:
            how: dict[str, Any] = {"method": prepared.method, "dt": request.dt, "seed": seed}
            counts.append(simulate(circuits, prepared.shots, request.calibration, **how))
    return counts


def _in_use(circuit: QuantumCircuit, active: Collection[int]) -> QuantumCircuit:
    """Leave away pulses on qubits that the circuit without twirls does not use, such as strategy="all" has.

    They meet no other qubit and are not read, and a simulation knows no crosstalk, so that counts stay the same; a
    simulator would hold the whole machine otherwise.
    """
    keep = {circuit.qubits[q] for q in active}
    pulses = (item for item in circuit.data if item.qubits and item.name not in {"barrier", "delay"})
    if not any(keep.isdisjoint(item.qubits) for item in pulses):
        return circuit
    result = circuit.copy_empty_like()
    for item in circuit.data:
        if item.name == "barrier":
            result.barrier([qubit for qubit in item.qubits if qubit in keep])
        elif not keep.isdisjoint(item.qubits) or not item.qubits:
            result._append(item)
    return result


def _steady(simulator: Any) -> Any:
    """A copy that gives the same counts whatever the number of threads; the given one stays as it is."""
    steady = copy(simulator)
    steady._options = copy(simulator.options)
    steady.set_options(**STEADY)
    return steady
