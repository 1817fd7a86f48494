"""From circuits to counts in one call, on simulators, recorded machines and real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from qcluster.core.arithmetic import own_errstate
from qcluster.device import jobs
from qcluster.device.jobs.runtime import Service
from qcluster.device.local import simulate_request
from qcluster.device.machines.machine import Machine, find_machine
from qcluster.device.noise.measured import MeasuredReference
from qcluster.device.prepare import Options, check_request, prepare
from qcluster.device.request import check_share
from qcluster.device.run import Run, read_runs

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.request import Request


@own_errstate
def execute(
    circuits: Sequence[QuantumCircuit],
    backend: Any,
    *,
    shots: int = 4096,
    twirls: int = 1,
    measure_twirl: bool = True,
    twirling: Literal["client", "server"] = "client",
    dd: str | None = None,
    seed: int | np.random.Generator | None = None,
    optimization_level: int = 3,
    mode: Literal["job", "batch", "session"] = "job",
    simulation: str | None = None,
    directory: str | Path | None = None,
    max_circuits: int = 300,
    reference: bool | int | MeasuredReference = False,
    reference_share: float = 1.0,
    group: Literal["pauli", "balanced_pauli", "local_c1", "local_pauli"] = "pauli",
    strategy: Literal["active", "active-accum", "active-circuit", "all"] | None = None,
    runtime: Mapping[str, Any] | None = None,
) -> list[Run]:
    """Compile, twirl and run circuits, and give their counts back with flips undone.

    The same call serves a plain simulator, the noise of a recorded IBM machine and the machine itself. A recorded
    machine is simulated from its calibration: both readout errors, gates, and relaxation while qubits wait.

    Args:
        circuits: measured circuits, parameters bound. One that is compiled for the machine already (it has a layout,
            and operations of the machine only) is run as it is.
        backend: a Qiskit backend, or a name: "aer" (noiseless), "fake_torino" and the like, "least_busy", or a real
            machine such as "ibm_torino". An AerSimulator is run as it is, with the noise model it has.
        shots: of each circuit, all twirls together. Hardware needs equal shots in all twirls and rounds up.
        twirls: number of Pauli-twirled dresses that share the shots; 1 runs the circuit as it is.
        measure_twirl: whether dresses flip measurements too (the flips are undone in the counts).
        twirling: "client", or on hardware "server" to let the runtime's Sampler twirl instead.
        dd: dynamical decoupling, "XX", "XpXm" or "XY4".
        seed: same seed, same counts on a simulator; on hardware, same twirls.
        optimization_level: of Qiskit's compiler, for circuits that are not compiled yet.
        mode: "job", or on hardware "batch" or "session" around the jobs.
        simulation: "density_matrix", "stabilizer", "matrix_product_state" or "statevector" instead of the choice by
            size and structure (see `choose_method`).
        directory: where requests and results are kept; needed again to collect a job that outlived this process. On
            hardware the default is ./qcluster-jobs/ and the request's id; a simulation keeps nothing unless asked. The
            same call with the same directory goes on with the request that is there: what has come is read, what is
            under way is waited for, and nothing is sent twice.
        max_circuits: most circuits (twirls counted) in one hardware job; more are split over several.
        reference: True runs a reference circuit beside them, twirled alike, with as many shots as one of the
            circuits: once for all circuits that differ in angles only once they are compiled, such as the points of a
            sweep that was compiled before its parameters were bound. `Run.reference` holds what it measured, and
            `qcluster.mitigate` uses it. A number runs so many, which see different faults.
            Or the `Run.reference` of an earlier run on the same places, which costs nothing. `Run.notes` says what
            references cost in shots and seconds, or the age of one measured earlier.
        reference_share: shots of each reference, as a multiple of those of one circuit; refused where none is run. On
            hardware references are in the same jobs as the circuits, but for another share than 1, since all circuits
            of a job have equal shots.
        group: "pauli" draws the Paulis of twirls independently, "balanced_pauli" so that each qubit has I, X, Y and Z
            before each gate equally often, once in every four. With twirling="server" also "local_c1" and
            "local_pauli", see the runtime's ``TwirlingOptions``.
        strategy: which qubits are twirled around each layer of two-qubit gates: "active", "active-accum",
            "active-circuit" or "all", see `qcluster.twirl`. None is "active" of our own twirling, and of the runtime's
            what it does by default, "active-accum".
        runtime: options of the runtime's own Sampler that have no keyword here, as it has them:
            ``{"max_execution_time": 60, "execution": {"rep_delay": 1e-4}}``. On a simulator they do nothing, and
            `Run.notes` says so.

    Returns:
        One `Run` per circuit, in order.

    Raises:
        ValueError, TypeError: the request makes no sense; the message says what must hold.
        AccountError, JobError: the service or a job failed; the message says what to do.

    Example:
        >>> from qiskit import QuantumCircuit
        >>> circuit = QuantumCircuit(2)
        >>> _ = circuit.x(0), circuit.measure_all()
        >>> (run,) = execute([circuit], "aer", shots=100, seed=7)
        >>> run.counts.to_counts()
        {'01': 100}
    """
    reused = reference if isinstance(reference, MeasuredReference) else None
    check_share(reused, reference_share)
    options = Options(
        shots, twirls, measure_twirl, twirling, dd, optimization_level, mode, simulation, max_circuits,
        True if reused is not None else reference, group, strategy, runtime or {}, reference_share,  # type: ignore[arg-type]
    )  # fmt: skip
    machine = find_machine(backend)
    circuits = check_request(circuits, machine, options)
    request = jobs.saved_request(circuits, machine, options, seed, directory, reused=reused)
    if request is None:
        request = prepare(circuits, machine, options, seed, reused=reused)
    return run_request(request, machine, directory)


@dataclass(frozen=True)
class Sent:
    """Hold a request that is on its way."""

    request: Request
    machine: Machine
    directory: Path | None
    """Where it is kept; None for a simulation that is kept nowhere, and begins when its runs are asked for."""
    service: Service | None = None
    """The account it was sent with; None for a simulation."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of its jobs at the service, in the order of its parts."""
        return jobs.job_ids(self.directory) if self.directory is not None and self.service is not None else ()

    def runs(self) -> list[Run]:
        """Wait for the results, and give the runs."""
        if self.directory is None:
            return read_runs(self.request, simulate_request(self.request, self.machine))
        if self.service is None:
            jobs.submit(self.request, self.machine, self.directory)
        return jobs.collect(self.directory, wait=True, service=self.service)


def send(request: Request, machine: Machine, directory: str | Path | None) -> Sent:
    """Send a request to its machine, and come back before it has run; a simulation begins when it is asked for."""
    if machine.kind != "hardware":
        return Sent(request, machine, None if directory is None else Path(directory))
    service = jobs.open_jobs(machine=machine)  # the account that sends the jobs is the one that can fetch them
    return Sent(request, machine, jobs.submit(request, machine, directory, service=service), service)


def run_request(request: Request, machine: Machine, directory: str | Path | None = None) -> list[Run]:
    """Run a request where it belongs and wait for it; see `execute`."""
    return send(request, machine, directory).runs()
