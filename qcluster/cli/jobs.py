"""``qcluster jobs``: send circuits from files, and collect their results in a run directory."""

import json
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from qcluster.cli.console import echo, show_run, show_table
from qcluster.cli.inputs import read_earlier_references
from qcluster.cli.options import refuse, to_write
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.read import notes_on, sets_pooled
from qcluster.errors import AccountError, JobError
from qcluster.files import parse_json, quote_for_shell, write_whole
from qcluster.folders import folder_path

if TYPE_CHECKING:
    from qcluster.device.noise.measured import MeasuredReference
    from qcluster.device.run import Run

jobs_app = typer.Typer(
    name="jobs", help="Send circuits to a machine; collect the results later, from any process.", no_args_is_help=True
)

Folder = Annotated[Path, typer.Argument(help="The run directory.", parser=folder_path)]
JsonOut = Annotated[Path | None, typer.Option("--json", help="Write counts to this file.", callback=to_write)]


@jobs_app.command("submit")
def submit(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Circuits: OpenQASM 2 or 3 (.qasm) or Qiskit's .qpy.")],
    directory: Annotated[
        Path, typer.Option("--directory", "-d", help="New directory for the request and results.", parser=folder_path)
    ],
    backend: Annotated[str, typer.Option(help="'aer', 'fake_torino' and the like, 'least_busy', or a real machine.")],
    shots: Annotated[int, typer.Option(help="Shots of each circuit, summed over its twirls.")] = 4096,
    twirls: Annotated[int, typer.Option(help="Pauli-twirled copies that share the shots; 1: no twirling.")] = 1,
    dd: Annotated[str | None, typer.Option(help="Dynamical decoupling: XX, XpXm or XY4.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of compilation, twirls and simulation.")] = None,
    mode: Annotated[str, typer.Option(help="On hardware: job, batch or session.")] = "job",
    optimization_level: Annotated[int, typer.Option(min=0, max=3, help="Optimization level of Qiskit's compiler.")] = 3,
    reference: Annotated[bool, typer.Option(help="Also run a reference circuit, which measures the noise.")] = False,
    references: Annotated[int, typer.Option(min=1, help="Number of references, which see different faults.")] = 1,
    reference_share: Annotated[
        float, typer.Option(help="Shots of each reference, as a multiple of the shots of a circuit.")
    ] = 1.0,
    reference_from: Annotated[
        str | None,
        typer.Option(help="Use the references of an earlier run: its folder, or the JSON of a Run or its reference."),
    ] = None,
    measure_twirl: Annotated[bool, typer.Option(help="Flip measured bits in twirled copies too.")] = True,
    group: Annotated[
        str,
        typer.Option(
            help="How Paulis are drawn: pauli (independently) or balanced_pauli (equally often); with --twirling "
            "server also local_c1 or local_pauli."
        ),
    ] = "pauli",
    strategy: Annotated[
        str | None, typer.Option(help="Qubits twirled around a layer: active, active-accum, active-circuit or all.")
    ] = None,
    twirling: Annotated[str, typer.Option(help="Who twirls: client, or on hardware server (the runtime).")] = "client",
    simulation: Annotated[
        str | None,
        typer.Option(
            help="Simulation method: density_matrix, stabilizer, matrix_product_state or statevector; by default "
            "chosen for the circuit."
        ),
    ] = None,
    max_circuits: Annotated[int, typer.Option(min=1, help="Most circuits (twirled copies counted) in one job.")] = 300,
    instance: Annotated[str | None, typer.Option(help="Instance of the account, by name or CRN.")] = None,
    runtime: Annotated[
        str | None, typer.Option(help="Options of the runtime's Sampler, as JSON: '{\"max_execution_time\": 60}'.")
    ] = None,
) -> None:
    """Submit circuits as jobs; simulations run at once. The same command again continues where it stopped."""
    from qcluster.device import jobs
    from qcluster.device.circuits.files import read_circuits
    from qcluster.device.machines.machine import find_machine
    from qcluster.device.prepare import Options, prepare
    from qcluster.device.request import describe_usage, reference_cost

    circuits = [circuit for file in files for circuit in read_circuits(file)]
    fields = {name: value for name, value in context.params.items() if name in Options.__dataclass_fields__}
    fields |= {"reference": references if reference else False, "runtime": _runtime_options(runtime)}
    reused: list[MeasuredReference] = []
    if reference_from is not None:
        why = "a reference of --reference-from was measured earlier"
        refuse(context, ["reference", "references", "reference_share"], why)
        reused = read_earlier_references(reference_from)
        fields["reference"] = True
    elif not reference:
        refuse(context, ["references", "reference_share"], "it goes with --reference")
    options = Options(**fields)
    machine = find_machine(jobs.saved_backend(backend, directory), instance=instance)
    if twirls == 1 and not options.runtime.get("twirling"):
        refuse(context, ["measure_twirl", "group", "strategy", "twirling"], "it goes with --twirls")
    if machine.kind != "hardware":
        why = f"{backend} is simulated here, and jobs are sent to real machines only"
        refuse(context, ["mode", "max_circuits", "runtime"], why)
    request = jobs.saved_request(circuits, machine, options, seed, directory, reused=reused)
    if request is None:
        request = prepare(circuits, machine, options, seed, reused=reused)
        if options.reference:
            echo(reference_cost(request))
        if reused:
            for note in dict.fromkeys(note for prepared in request.prepared for note in prepared.notes):
                echo(f"note: {note}")
        if machine.kind == "hardware":
            echo(describe_usage(request))
    else:
        echo(f"{directory} holds this request already: continuing it")
    jobs.submit(request, machine, directory)
    parts = jobs.status(directory)
    _show(parts)
    again = " --resubmit" if any(part.status in jobs.FAILED for part in parts) else ""
    echo(f"next: qcluster jobs collect {quote_for_shell(directory)}{again}")


def _runtime_options(text: str | None) -> dict[str, Any]:
    """Parse the option ``--runtime``."""
    if text is None:
        return {}
    try:
        options = parse_json(text, strict=True)
    except ValueError as error:
        raise ValueError(f"--runtime must be JSON; got {text!r:.60}: {error}") from error
    if not isinstance(options, dict):
        raise ValueError(f"--runtime must be a JSON object of options; got {text!r:.60}")
    return options


@jobs_app.command("status")
def status(directory: Folder) -> None:
    """Show the state of each job of a run directory."""
    from qcluster.device import jobs

    _show(jobs.status(directory))


@jobs_app.command("collect")
def collect(
    directory: Folder,
    wait: Annotated[bool, typer.Option(help="Wait for jobs that are not done.")] = False,
    resubmit: Annotated[bool, typer.Option(help="Send failed, cancelled, lost or undecodable jobs again.")] = False,
    partial: Annotated[bool, typer.Option(help="Read what has arrived, even if other results are missing.")] = False,
    json_out: JsonOut = None,
) -> None:
    """Fetch results, with flips undone and twirls pooled; submit jobs that a killed process had not submitted."""
    from qcluster.device import jobs

    runs: Sequence[Run | None]
    try:
        runs = jobs.collect(directory, wait=wait, resubmit=resubmit)
    except (JobError, AccountError) as error:
        runs = jobs.read_arrived(directory) if partial else []
        if not any(runs):
            raise
        echo(f"warning: {error}", err=True)
    if json_out is not None:
        # null where nothing of a circuit has arrived
        _write(json_out, [None if run is None else _entry(run.counts, run.reference) for run in runs])
    for number, run in enumerate(runs):
        if run is None:
            echo(f"circuit {number}: nothing has arrived")
            continue
        show_run(run)
        _top(run.counts)
        if run.reference is not None:
            echo(f"  {run.reference!r}")


@jobs_app.command("cancel")
def cancel(directory: Folder) -> None:
    """Cancel the jobs of a run directory that are not done or not sent yet; results that have arrived are kept."""
    from qcluster.device import jobs

    ids = jobs.cancel(directory)
    echo(f"cancelled: {', '.join(ids)}" if ids else "no job is waiting or running")
    _show(jobs.status(directory))


@jobs_app.command("usage")
def usage(directory: Folder) -> None:
    """Show the estimated machine time of a run directory, and the time that its jobs were charged for."""
    from qcluster.device import jobs
    from qcluster.device.jobs.folder import RunFolder
    from qcluster.device.request import describe_usage

    echo(describe_usage(RunFolder(directory).request))
    charged = jobs.usage(directory)
    for job_id, seconds in charged.items():
        echo(f"  {job_id}  " + ("unknown: the service no longer has this job" if isnan(seconds) else f"{seconds:g} s"))
    echo(f"charged so far: {sum(seconds for seconds in charged.values() if not isnan(seconds)):g} s")


@jobs_app.command("fetch")
def fetch(
    job_id: Annotated[str, typer.Argument(help="Id of any Sampler job of this account.")],
    json_out: JsonOut = None,
    as_read: Annotated[
        bool, typer.Option(help="Also fetch a job of a saved run, with the flips of its twirls not undone.")
    ] = False,
) -> None:
    """Fetch the counts of any job by its id. For a job of a saved run use `collect`, which undoes flips."""
    from qcluster.device import jobs

    pubs = list(jobs.fetch(job_id, as_read=as_read))
    results = [Distribution.of(pub) for pub in pubs]
    if json_out is not None:
        # the counts of a sweep are kept by parameter set, as `qcluster mitigate --point` reads them
        pairs = zip(pubs, results, strict=True)
        _write(json_out, [pub.data if sets_pooled(pub) > 1 else _entry(counts) for pub, counts in pairs])
    for number, (pub, counts) in enumerate(zip(pubs, results, strict=True)):
        for note in notes_on(pub):
            echo(f"note: {note} (PUB {number})", err=True)
        _top(counts)


def _show(parts: list[Any]) -> None:
    table = Table()
    for name in ("part", "circuits", "job", "attempt", "status", "reason"):
        table.add_column(name)
    for part in parts:
        table.add_row(
            str(part.number), str(part.circuits), part.job_id or "-", str(part.attempt), part.status, part.reason
        )
    show_table(table)


def _top(counts: Distribution, k: int = 4) -> None:
    for string, share in counts.top(k).items():
        echo(f"  {string}  {share:.4f}")


def _entry(counts: Distribution, reference: "MeasuredReference | None" = None) -> dict[str, Any]:
    """Return the counts of a circuit, and those of its reference if it has one, as `qcluster mitigate` reads them."""
    entry: dict[str, Any] = {"counts": counts.to_counts()}
    if reference is not None:
        pooled = reference.noise.reference_counts  # of all references, if there are several
        entry["reference"] = {"counts": pooled.to_counts(), "expected": reference.expected}
    return entry


def _write(path: Path, results: Sequence[Any]) -> None:
    """Write the results of circuits as JSON for `qcluster mitigate`: the one if there is one, otherwise a list."""
    from qiskit_ibm_runtime import RuntimeEncoder

    write_whole(path, json.dumps(results[0] if len(results) == 1 else results, indent=1, cls=RuntimeEncoder))
