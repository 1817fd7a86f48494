"""Requests that are simulated on this computer, for `qcluster.execute` and for saved jobs alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcluster.device.noise.simulate import STEADY, run_foreign, run_on, simulate

if TYPE_CHECKING:
    from qcluster.core.counts.distribution import Distribution
    from qcluster.device.machines.machine import Machine
    from qcluster.device.request import Request


def simulate_request(request: Request, machine: Machine | None) -> list[list[Distribution]]:
    """Run a request on a local machine; counts per circuit and twirl."""
    counts = []
    for i, prepared in enumerate(request.prepared):
        seed = (request.simulator_seed + 7919 * i) % 2**31
        if prepared.method == "aer" and machine is not None:
            simulator = _steady(machine.backend)
            counts.append(run_on(simulator, prepared.circuits, prepared.shots, seed))
        elif prepared.method == "backend" and machine is not None:
            counts.append(run_foreign(machine.backend, prepared.circuits, prepared.shots, seed))
        else:
            counts.append(
                simulate(
                    prepared.circuits,
                    prepared.shots,
                    request.calibration,
                    method=prepared.method,
                    dt=request.dt,
                    seed=seed,
                )
            )
    return counts


def _steady(simulator: Any) -> Any:
    """A copy that gives the same counts whatever the number of threads; the given one stays as it is."""
    from copy import copy

    steady = copy(simulator)
    steady._options = copy(simulator.options)
    steady.set_options(**STEADY)
    return steady
