"""``qcluster decision``: build the table of cases, train the gate, score it."""

from pathlib import Path
from typing import Annotated

import typer

from qcluster.cli.console import open_bar, open_console, show_table
from qcluster.cli.options import Dask, Workers, refuse, refuse_workers_with_dask
from qcluster.core.words import plural
from qcluster.folders import folder_path

decision_app = typer.Typer(
    name="decision",
    help="Retrain the gate that decides for mitigate: build a table of cases, train, score.",
    no_args_is_help=True,
)


@decision_app.command()
def build(
    context: typer.Context,
    out: Annotated[
        Path, typer.Option(help="Folder for the table; run again to continue where it stopped.", parser=folder_path)
    ],
    full: Annotated[int, typer.Option(min=0, help="Number of random cases of 1 to 12 bits.")] = 30_000,
    wide: Annotated[int, typer.Option(min=0, help="Number of random cases of 13 to 127 bits.")] = 6_000,
    sharp: Annotated[
        int, typer.Option(min=0, help="Number of random cases of few strings under equal flip rates.")
    ] = 4_000,
    circuits: Annotated[
        int,
        typer.Option(
            min=0, help="Number of random cases with fault patterns, in place of all others: for mitigate(run)."
        ),
    ] = 0,
    wide_circuits: Annotated[
        int, typer.Option(min=0, help="The same of more than 12 bits, for which there is a separate gate.")
    ] = 0,
    measured: Annotated[
        int, typer.Option(min=0, help="The same with rates that a reference measured: a separate gate, up to 12 bits.")
    ] = 0,
    records: Annotated[
        list[Path] | None, typer.Option(help="Recorded counts with ideals: JSON lines, gzipped or not.")
    ] = None,
    workers: Workers = 1,
    dask: Dask = None,
) -> None:
    """Build the table that the gate is trained on (ten minutes for 10,000 cases on one core).

    Examples: qcluster decision build --out table --records my_runs.jsonl --workers 2

    qcluster decision build --out runs --circuits 16000 --records compiled.jsonl.gz
    """
    from rich.progress import MofNCompleteColumn

    from qcluster.errors import requiring_extra
    from qcluster.learn.decision.shares import of_circuits, of_counts
    from qcluster.learn.decision.table import build as start
    from qcluster.learn.decision.table import others

    refuse_workers_with_dask(context, dask)
    of_runs = [option for option in (circuits, wide_circuits, measured) if option]
    if of_runs:
        options = "--circuits, --wide-circuits and --measured"
        refuse(context, ["full", "wide", "sharp"], f"{options} draw cases in place of theirs")
        if len(of_runs) > 1:
            raise ValueError(f"{options} make tables for different gates; give one of them")
    if not (full or wide or sharp or of_runs or records):
        raise ValueError(
            "a table needs cases: give --full, --wide, --sharp, --circuits, --wide-circuits, --measured or --records"
        )
    console = open_console()
    many = of_circuits(circuits, wide_circuits, measured) if of_runs else of_counts(full, wide, sharp)
    parts = start(out, many, records or [], workers=workers, dask=dask)
    with requiring_extra("bench"), open_bar(open_console(stderr=True), MofNCompleteColumn(), saved=True) as bar:
        line = bar.add_task("parts", total=None)
        for path in parts:
            bar.advance(line)
            if not console.is_terminal:
                console.print(path.name)
    if kept := others(out, many, records or []):
        names = ", ".join(path.name for path in kept[:3]) + (", ..." if len(kept) > 3 else "")
        open_console(stderr=True).print(
            f"{out} also holds {plural(len(kept), 'part')} that this command does not ask for ({names}): train and "
            "score read all parts, so delete those that you no longer want"
        )


@decision_app.command()
def train(
    table: Annotated[Path, typer.Option(help="Folder that `qcluster decision build` filled.", parser=folder_path)],
    out: Annotated[Path, typer.Option(help="Where to write the gate, an .npz of arrays.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the training.")] = 0,
    recorded: Annotated[float, typer.Option(min=0, max=1, help="Share of the weight given to recorded sets.")] = 0.45,
    harm: Annotated[float, typer.Option(min=0, help="Extra weight of a loss, relative to an equal gain.")] = 14.0,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the table.")] = 64,
    members: Annotated[
        int,
        typer.Option(min=1, help="Number of networks whose answers are averaged; with more, the seed matters less."),
    ] = 8,
    missed: Annotated[
        int, typer.Option(min=0, help="Number of networks that are not shown a given family: fewer than there are.")
    ] = 2,
    hidden: Annotated[int, typer.Option(min=1, help="Width of both hidden layers of a network.")] = 96,
    wide: Annotated[
        bool, typer.Option("--wide", help="Train on cases of more than 12 bits instead of at most 12.")
    ] = False,
    workers: Workers = 1,
) -> None:
    """Train a gate from a table, of counts or of circuits.

    Examples: qcluster decision train --table table --out gate.npz

    qcluster decision train --table table --wide --out wide_gate.npz
    """
    from qcluster.files import check_place
    from qcluster.learn.decision.score import balanced, wide_rows
    from qcluster.learn.decision.table import read_all
    from qcluster.learn.decision.train import Training, write_gate
    from qcluster.learn.decision.train import train as start

    if out.is_dir():
        raise ValueError(f"--out must name the file of the gate; {out} is a folder")
    settings = Training(seed=seed, harm=harm, epochs=epochs, members=members, missed=missed, hidden=hidden)
    check_place(out)
    cases = read_all(table)
    rows = cases.take(wide_rows(cases) == wide)
    if not len(rows):
        why = "none of more than 12 bits" if wide else "only those of more than 12 bits: see --wide"
        raise ValueError(f"the table must hold cases for this gate; {table} holds {why}")
    if out.resolve().parent == table.resolve():
        raise ValueError(
            f"the gate must not go into the folder of the table, where it would be read as a part; got {out}"
        )
    gate = start(rows, settings, balanced(rows, recorded), workers=workers)
    written = write_gate(gate, out)
    open_console().print(f"{out}: {len(rows)} cases, table {rows.digest}, gate {written.digest}")


@decision_app.command()
def score(
    table: Annotated[Path, typer.Option(help="Folder that `qcluster decision build` filled.", parser=folder_path)],
    gate: Annotated[Path | None, typer.Option(help="Gate to score; by default the one in the package.")] = None,
    wide_gate: Annotated[
        Path | None, typer.Option(help="Gate for cases of more than 12 bits; by default the one in the package.")
    ] = None,
    by: Annotated[str, typer.Option(help="Rows of the result: group, kind or n_bits.")] = "group",
) -> None:
    """Score a gate: mean fidelity, share of cases harmed (loss > .02) and worst loss.

    Example: qcluster decision score --table held_out --by kind
    """
    from rich.table import Table as Grid

    from qcluster.learn.decision.gates import read_gate
    from qcluster.learn.decision.score import scores, wide_rows
    from qcluster.learn.decision.table import read_all

    cases = read_all(table)
    is_wide = wide_rows(cases)
    if gate and is_wide.all():
        raise ValueError(
            f"--gate must have cases to score; {table} holds only those of more than 12 bits: see --wide-gate"
        )
    if wide_gate and not is_wide.any():
        raise ValueError(f"--wide-gate must have cases to score; {table} holds none of more than 12 bits")
    narrow = None if gate is None else read_gate(gate, cases.names, wide=False)
    rows = scores(cases, narrow, by, None if wide_gate is None else read_gate(wide_gate, cases.names, wide=True))
    grid = Grid(*rows[0]._fields, box=None)
    for row in rows:
        grid.add_row(*(value if isinstance(value, str) else f"{value:.4g}" for value in row))
    show_table(grid)
