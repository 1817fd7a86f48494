"""From circuits to counts in one call: on simulators, recorded machines and real machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from qcluster.core.arithmetic import default_errstate
from qcluster.device import jobs
from qcluster.device.jobs.runtime import Service
from qcluster.device.local import simulate_request
from qcluster.device.machines.machine import Machine, find_machine
from qcluster.device.noise.measured import MeasuredReference
from qcluster.device.prepare import Options, check_request, prepare
from qcluster.device.request import check_share
from qcluster.device.run import Run, read_runs
from qcluster.folders import folder_path

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.request import Request


@default_errstate
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
    """Compile, twirl and run circuits; return their counts with the flips of the twirls undone.

    The same call works for a plain simulator, for a recorded IBM machine and for a real one. A recorded machine is
    simulated from its calibration: both readout errors, gate errors, and relaxation while qubits wait.

    Args:
        circuits: measured circuits with all parameters bound. A circuit that is already compiled for the machine (it
            has a layout and uses only operations of the machine) is run unchanged.
        backend: a Qiskit backend or a name: "aer" (noiseless), a recorded machine such as "fake_torino",
            "least_busy", or a real machine such as "ibm_torino". An AerSimulator is run with its own noise model.
        shots: shots of each circuit, summed over its twirls. On hardware all twirls must have equal shots, so the
            number is rounded up.
        twirls: number of Pauli-twirled copies that share the shots; 1 runs the circuit without twirling.
        measure_twirl: whether twirled copies also flip measured bits (the counts have the flips undone).
        twirling: "client", or on hardware "server" to let the runtime's Sampler twirl instead.
        dd: dynamical decoupling sequence: "XX", "XpXm" or "XY4".
        seed: the same seed gives the same counts on a simulator, and the same twirls on hardware.
        optimization_level: optimization level of Qiskit's compiler, for circuits that are not compiled yet.
        mode: "job", or on hardware "batch" or "session" to run the jobs in one.
        simulation: "density_matrix", "stabilizer", "matrix_product_state" or "statevector"; by default chosen by the
            size and structure of the circuit (see `choose_method`).
        directory: where the request and its results are kept; needed again to collect a job that outlives this
            process. The default on hardware is ./qcluster-jobs/ and the id of the request; a simulation is kept only
            if a directory is given. The same call with the same directory continues the request kept there: it reads
            results that have arrived, waits for jobs under way, and sends nothing twice.
        max_circuits: most circuits (twirled copies counted) in one hardware job; more are split over several jobs.
        reference: True also runs a reference circuit, twirled in the same way, with as many shots as one circuit. One
            reference serves all circuits that differ only in angles after compilation, such as the points of a
            sweep that was compiled before its parameters were bound. `Run.reference` holds its measurement, and
            `qcluster.mitigate` uses it. A number runs that many references, which see different faults.
            The `Run.reference` of an earlier run on the same qubits and gates can be given instead and costs nothing.
            `Run.notes` gives the cost of references in shots and seconds, or the age of an earlier one.
        reference_share: shots of each reference, as a multiple of the shots of one circuit; refused if no reference is
            run. On hardware, references go into the jobs of the circuits if the share is 1, and otherwise into
            separate jobs, since all circuits of a job have equal shots.
        group: "pauli" draws the Paulis of a twirl independently. "balanced_pauli" draws them so that, in every four
            twirls, each qubit has I, X, Y and Z once before each gate. With twirling="server" also "local_c1" and
            "local_pauli", see the runtime's ``TwirlingOptions``.
        strategy: which qubits are twirled around each layer of two-qubit gates: "active", "active-accum",
            "active-circuit" or "all", see `qcluster.twirl`. None means "active" with twirling="client", and the
            runtime's default, "active-accum", with "server".
        runtime: options of the runtime's Sampler that have no keyword here, named and nested as there:
            ``{"max_execution_time": 60, "execution": {"rep_delay": 1e-4}}``. A simulator ignores them, and `Run.notes`
            says so.

    Returns:
        One `Run` per circuit, in order.

    Raises:
        ValueError, TypeError: an argument is invalid; the message says what must hold.
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
    machine = find_machine(jobs.saved_backend(backend, directory))
    circuits = check_request(circuits, machine, options)
    earlier = [] if reused is None else [reused]
    request = jobs.saved_request(circuits, machine, options, seed, directory, reused=earlier)
    if request is None:
        request = prepare(circuits, machine, options, seed, reused=earlier)
    return run_request(request, machine, directory)


@dataclass(frozen=True)
class Sent:
    """A request that was sent to its machine, from which its runs can be collected."""

    request: Request
    machine: Machine
    directory: Path | None
    """Absolute path of the folder that keeps the request; None for a simulation that is not saved, which begins when
    `runs` is called."""
    service: Service | None = None
    """The service that the jobs were sent to; None for a simulation."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the request's jobs at the service, in the order of its parts."""
        return jobs.job_ids(self.directory) if self.directory is not None and self.service is not None else ()

    def runs(self) -> list[Run]:
        """Wait for the results and return one `Run` per circuit."""
        if self.directory is None:
            return read_runs(self.request, simulate_request(self.request, self.machine))
        if self.service is None:
            jobs.submit(self.request, self.machine, self.directory)
        return jobs.collect(self.directory, wait=True, service=self.service)


def send(request: Request, machine: Machine, directory: str | Path | None) -> Sent:
    """Send a request to its machine without waiting for it; a simulation begins when its runs are asked for."""
    if machine.kind != "hardware":
        return Sent(request, machine, None if directory is None else folder_path(directory).absolute())
    service = jobs.open_jobs(machine=machine)  # the account that sends the jobs is the one that can fetch them
    return Sent(request, machine, jobs.submit(request, machine, directory, service=service).absolute(), service)


def run_request(request: Request, machine: Machine, directory: str | Path | None = None) -> list[Run]:
    """Run a request on its machine and wait for the results; see `execute`."""
    return send(request, machine, directory).runs()
