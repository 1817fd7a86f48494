"""The `calibration` commands: what a machine publishes about itself, kept in a file, shown and compared."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from qcluster.cli.console import echo, open_console
from qcluster.cli.options import to_write

calibration_app = typer.Typer(
    name="calibration", help="What a machine publishes about its errors: show, fetch, compare.", no_args_is_help=True
)

Source = Annotated[
    str,
    typer.Argument(help="A file (ours, IBM's CSV or BackendProperties as JSON), or the name of a machine."),
]

_ROWS: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("T1 (µs)", lambda c: c.t1 * 1e6),
    ("T2 (µs)", lambda c: c.t2 * 1e6),
    ("P(read 1|0)", lambda c: c.readout[:, 0]),
    ("P(read 0|1)", lambda c: c.readout[:, 1]),
)


@calibration_app.command("show")
def show(source: Source) -> None:
    """Show the median and the worst of each published figure, and what is dead."""
    one = _read(source)
    table = Table()
    for name in ("figure", "median", "best", "worst", "worst at", "unknown"):
        table.add_column(name, justify="left" if name == "figure" else "right")
    for name, values, places in _figures(one):
        known = ~np.isnan(values)
        if not known.any():
            table.add_row(name, "-", "-", "-", "-", str(values.size))
            continue
        high = not name.startswith("T")  # errors are bad when they are large, times when they are short
        order = np.flatnonzero(known)[np.argsort(values[known])]
        worst, best = (order[-1], order[0]) if high else (order[0], order[-1])
        table.add_row(
            name,
            *(f"{value:.3g}" for value in (np.median(values[known]), values[best], values[worst])),
            str(places[worst]),
            str(int((~known).sum())),
        )
    console = open_console()
    console.print(f"{one.backend}, {one.n_qubits} qubits, {one.date or 'no date'}")
    console.print(table)
    dead = [f"qubit {q}" for q in np.flatnonzero(one.dead_qubits)]
    dead += [f"({a}, {b})" for a, b in one.couplings[one.dead_couplings].tolist()]
    console.print(f"dead: {', '.join(dead) or 'nothing'}")


@calibration_app.command("fetch")
def fetch(
    backend: Annotated[str, typer.Argument(help="A real machine (needs an account), or 'fake_torino' and the like.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where it goes.", callback=to_write)],
) -> None:
    """Fetch what a machine publishes now, and keep it in a file that `Calibration.load` reads."""
    from qcluster.device.machines.machine import find_machine

    one = find_machine(backend).calibration
    one.save(output)
    echo(f"{one.backend}, {one.date or 'no date'}: {output}")


@calibration_app.command("diff")
def diff(
    before: Source,
    after: Source,
    top: Annotated[int, typer.Option(min=1, help="How many places that changed most to name.")] = 5,
) -> None:
    """Compare two calibrations: medians, and where a figure changed by the largest factor."""
    old, new = _read(before), _read(after)
    if old.n_qubits != new.n_qubits:
        raise ValueError(
            f"both must be of one machine; {old.backend} has {old.n_qubits} qubits, {new.backend} {new.n_qubits}"
        )
    table = Table()
    for name in ("figure", "median before", "after", "changed most"):
        table.add_column(name, overflow="fold")
    later = {name: dict(zip(places, values, strict=True)) for name, values, places in _figures(new)}
    for name, values, places in _figures(old):
        pairs = {
            place: (value, later[name][place])
            for place, value in zip(places, values, strict=True)
            if name in later and place in later[name] and value > 0 and later[name][place] > 0
        }
        if not pairs:
            continue
        factors = sorted(pairs, key=lambda place: -abs(np.log(pairs[place][1] / pairs[place][0])))
        named = [f"{p}: {pairs[p][0]:.3g} to {pairs[p][1]:.3g}" for p in factors[:top] if pairs[p][0] != pairs[p][1]]
        medians = np.median(np.array(list(pairs.values())), axis=0)
        table.add_row(name, f"{medians[0]:.3g}", f"{medians[1]:.3g}", "; ".join(named) or "nothing")
    open_console().print(table)
    for word, gone in (
        ("died", new.dead_qubits & ~old.dead_qubits),
        ("came back", old.dead_qubits & ~new.dead_qubits),
    ):
        if gone.any():
            echo(f"{word}: {', '.join(f'qubit {q}' for q in np.flatnonzero(gone))}")


def _read(source: str) -> Any:
    from qcluster.device.machines.calibration import Calibration
    from qcluster.device.machines.machine import find_machine

    path = Path(source)
    is_file = path.is_file() or path.name != source or path.suffix  # no machine's name has a dot or a slash
    return Calibration.load(source) if is_file else find_machine(source).calibration


def _figures(one: Any) -> list[tuple[str, Any, list[Any]]]:
    """Names, values and places of all figures."""
    qubits: list[Any] = list(range(one.n_qubits))
    pairs = [tuple(pair) for pair in one.couplings.tolist()]
    rows = [(name, values(one), qubits) for name, values in _ROWS]
    rows += [(f"{gate} error", row, qubits) for gate, row in zip(one.gates_1q, one.errors_1q, strict=True)]
    rows += [(f"{gate} error", row, pairs) for gate, row in zip(one.gates_2q, one.errors_2q, strict=True)]
    return rows
