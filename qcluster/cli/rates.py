"""``qcluster rates``: effective flip rates."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from qcluster.cli.console import echo, open_bar, open_console, show_run
from qcluster.cli.inputs import read_counts_or_run
from qcluster.cli.options import Bits, Dask, Partial, Point, Workers, refuse, refuse_workers_with_dask, to_write
from qcluster.core.words import plural
from qcluster.folders import folder_path


class _EstimateByDefault(TyperGroup):
    """Parse ``qcluster rates FILE`` as ``qcluster rates estimate FILE``, with options before or after FILE."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["estimate", *args]
        return super().parse_args(ctx, args)


rates_app = typer.Typer(
    name="rates",
    cls=_EstimateByDefault,
    help="Estimate effective flip rates: qcluster rates FILE. Build or extend the table behind it: build, add.",
    subcommand_metavar="FILE | COMMAND [ARGS]...",
    no_args_is_help=True,
)


@rates_app.command()
def estimate(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(
            help="JSON: counts, a saved runtime result or a Run; or the folder of a saved run; or a circuit: .qasm or "
            ".qpy. '-' is standard input."
        ),
    ],
    backend: Annotated[str | None, typer.Option(help="Machine, such as fake_torino or ibm_torino.")] = None,
    circuit: Annotated[Path | None, typer.Option(help="The circuit behind the counts: .qasm or .qpy.")] = None,
    table: Annotated[Path | None, typer.Option(help="Rows of your own runs, used beside the shipped ones.")] = None,
    coverage: Annotated[float, typer.Option(help="Coverage of the interval, between 0 and 1.")] = 0.8,
    pub: Annotated[
        int | None, typer.Option(help="Index of the set of counts, if the file has several, from 0.")
    ] = None,
    bits: Bits = None,
    point: Point = None,
    partial: Partial = False,
) -> None:
    """Estimate the flip rates of a run, or of a circuit before it runs."""
    from qcluster.device.circuits.files import SUFFIXES
    from qcluster.device.noise.rates import estimate_rates
    from qcluster.device.run import Run

    place, console = Path(file), open_console()
    if circuit is None and place.suffix in SUFFIXES and not place.is_dir():
        refuse(context, ["pub", "bits", "point", "partial"], f"{file} holds a circuit, not counts")
        circuit, source = place, None
    else:
        source = read_counts_or_run(context, file, pub, bits, point, partial=partial)
    if isinstance(source, Run):
        refuse(context, ["circuit", "backend"], f"{file} is a saved run, which has its circuit and its machine")
        show_run(source)
        run_or_circuit, counts = source, None
    else:
        run_or_circuit, counts = _read_circuit(circuit, source), source
    model, n_own = _fit_model(table)
    rates = estimate_rates(run_or_circuit, backend, counts, model=model, coverage=coverage)
    console.print(
        f"effective flip rate {rates.value:.4f}, {100 * coverage:g}% interval {rates.low:.4f} to {rates.high:.4f}"
    )
    if isinstance(run_or_circuit, Run) or (circuit is not None and backend is not None):
        console.print("by bit, 0 first: " + " ".join(f"{rate:.4f}" for rate in rates.per_bit))
    if rates.saturated:
        bound = (
            "nothing bounds the rate from above" if run_or_circuit is None else "the rate rests on the circuit alone"
        )
        console.print(f"the counts cannot be told from uniform noise: {bound}")
    elif not rates.in_range:
        console.print("unlike the training rows: trust this less than the interval says")
    if model is not None:
        own = int(rates.used[len(rates.used) - n_own :].sum())
        lack = "; the others lack features that are known of it" if own < n_own else ""
        console.print(
            f"{own} of {plural(n_own, 'row')} of {table} and {rates.rows - own} shipped rows were used for this run"
            f"{lack}"
        )


@rates_app.command()
def build(
    context: typer.Context,
    out: Annotated[
        Path, typer.Option(help="Folder for the table; run again to continue where it stopped.", parser=folder_path)
    ],
    dask: Dask = None,
    workers: Workers = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many circuits.")] = None,
    rows: Annotated[int, typer.Option(min=1, max=6, help="Rows per circuit, with different noise.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random choices.")] = 0,
) -> None:
    """Simulate the training table: benchmark circuits on recorded machines (up to an hour of one core)."""
    from rich.progress import MofNCompleteColumn, TimeRemainingColumn

    from qcluster.bench.rate_plan import plan
    from qcluster.bench.rate_table import build as start

    refuse_workers_with_dask(context, dask)
    failed = 0
    with open_bar(open_console(stderr=True), MofNCompleteColumn(), TimeRemainingColumn(), saved=True) as bar:
        task = bar.add_task("rates")
        for step in start(plan(rows=rows, seed=seed)[:limit], out, workers=workers, dask=dask):
            bar.update(task, completed=step.done, total=step.total, description=step.label or "rates")
            if step.error:
                failed += 1
                bar.console.print(f"{step.label}: {step.error}")
    echo(f"table: {out / 'rates.csv'}")
    if failed:
        echo(f"{plural(failed, 'circuit')} failed; run again to try {'it' if failed == 1 else 'them'} again", err=True)
        raise typer.Exit(1)


@rates_app.command()
def add(
    rundir: Annotated[
        Path, typer.Argument(help="Folder of a benchmark campaign, on simulators or real machines.", parser=folder_path)
    ],
    table: Annotated[
        Path, typer.Option(help="Table to append to; created if it does not exist.", callback=to_write)
    ] = Path("rates.csv"),
) -> None:
    """Turn your own runs into training rows; use them with: qcluster rates FILE --table rates.csv."""
    from qcluster.bench.rate_table import add_runs

    added, partly, skipped = add_runs(rundir, table)
    echo(
        f"{plural(added, 'row')} added to {table}; {plural(skipped, 'run')} left out (there already, or their ideal is "
        "not known)"
    )
    if partly:
        echo(f"{partly} of them lack columns (no circuit or calibration): they serve runs about which no more is known")


def _fit_model(path: Path | None) -> tuple[Any, int]:
    """Fit a model to the shipped rows and, after them, those of a file, and count the latter; None without a file."""
    from qcluster.learn.rates import rate_model
    from qcluster.learn.table import read_table

    if path is None:
        return None, 0
    own = read_table(path)
    return rate_model(read_table() + own), len(own)


def _read_circuit(path: Path | None, counts: Any) -> Any:
    """Read the single circuit of a file; if there are counts, check that it has as many bits as these."""
    if path is None:
        return None
    from qcluster.device.circuits.files import read_circuits

    circuit, *others = read_circuits(path)
    if others:
        raise ValueError(f"{path} must hold one circuit, that of the counts; it holds {1 + len(others)}")
    if counts is not None and circuit.num_clbits != counts.n_bits:
        raise ValueError(
            f"the circuit of {path} must have one classical bit for each bit of the counts, {counts.n_bits}; "
            f"got {circuit.num_clbits}"
        )
    return circuit
