"""``qcluster calibration``: the figures that a machine publishes, shown, saved to a file and compared."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from qcluster.cli.console import echo, open_console, show_table
from qcluster.cli.options import to_write

calibration_app = typer.Typer(
    name="calibration", help="The errors that a machine publishes: show, fetch, compare.", no_args_is_help=True
)

Source = Annotated[
    str,
    typer.Argument(help="A file (ours, IBM's CSV or BackendProperties as JSON), or the name of a machine."),
]

_QUBIT_FIGURES: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("T1 (µs)", lambda c: c.t1 * 1e6),
    ("T2 (µs)", lambda c: c.t2 * 1e6),
    ("P(read 1|0)", lambda c: c.readout[:, 0]),
    ("P(read 0|1)", lambda c: c.readout[:, 1]),
)
"""Names of the figures of each qubit, and their values in a calibration."""


@calibration_app.command("show")
def show(source: Source) -> None:
    """Show the median, the best and the worst value of each published figure, and the dead qubits and couplings."""
    calibration = _read(source)
    table = Table()
    for name in ("figure", "median", "best", "worst", "worst at", "unknown"):
        table.add_column(name, justify="left" if name == "figure" else "right")
    for name, values, places in _figures(calibration):
        known = ~np.isnan(values)
        if not known.any():
            table.add_row(name, "-", "-", "-", "-", str(values.size))
            continue
        is_error = not name.startswith("T")  # the worst error is the largest, the worst time the shortest
        order = np.flatnonzero(known)[np.argsort(values[known])]
        worst, best = (order[-1], order[0]) if is_error else (order[0], order[-1])
        table.add_row(
            name,
            *(f"{value:.3g}" for value in (np.median(values[known]), values[best], values[worst])),
            str(places[worst]),
            str(int((~known).sum())),
        )
    console = open_console()
    console.print(f"{calibration.backend}, {calibration.n_qubits} qubits, {calibration.date or 'no date'}")
    show_table(table)
    dead = [f"qubit {q}" for q in np.flatnonzero(calibration.dead_qubits)]
    dead += [f"({a}, {b})" for a, b in calibration.couplings[calibration.dead_couplings].tolist()]
    console.print(f"dead: {', '.join(dead) or 'nothing'}")


@calibration_app.command("fetch")
def fetch(
    backend: Annotated[str, typer.Argument(help="A real machine (needs an account), or 'fake_torino' and the like.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.", callback=to_write)],
) -> None:
    """Fetch the current calibration of a machine, and save it to a file that `Calibration.load` reads."""
    from qcluster.device.machines.machine import find_machine

    calibration = find_machine(backend).calibration
    calibration.save(output)
    echo(f"{calibration.backend}, {calibration.date or 'no date'}: {output}")


@calibration_app.command("diff")
def diff(
    before: Source,
    after: Source,
    top: Annotated[int, typer.Option(min=1, help="Number of qubits or pairs that changed most to list.")] = 5,
) -> None:
    """Compare two calibrations: medians, and the qubits or pairs whose figures changed by the largest factors."""
    old, new = _read(before), _read(after)
    if old.n_qubits != new.n_qubits:
        raise ValueError(
            f"both must be of one machine; {old.backend} has {old.n_qubits} qubits, {new.backend} {new.n_qubits}"
        )
    if old.backend != new.backend:
        echo(f"note: these are two machines by their names, {old.backend} and {new.backend}", err=True)
    table = Table()
    for name in ("figure", "median before", "after", "changed most"):
        table.add_column(name)
    later = {name: dict(zip(places, values, strict=True)) for name, values, places in _figures(new)}
    for name, values, places in _figures(old):
        pairs = {
            place: (value, later[name][place])
            for place, value in zip(places, values, strict=True)
            if name in later and place in later[name] and value > 0 and later[name][place] > 0
        }
        if not pairs:
            continue
        ranked = sorted(pairs, key=lambda place: -abs(np.log(pairs[place][1] / pairs[place][0])))
        changes = [f"{p}: {pairs[p][0]:.3g} to {pairs[p][1]:.3g}" for p in ranked[:top] if pairs[p][0] != pairs[p][1]]
        medians = np.median(np.array(list(pairs.values())), axis=0)
        table.add_row(name, f"{medians[0]:.3g}", f"{medians[1]:.3g}", "; ".join(changes) or "nothing")
    show_table(table)
    for change, qubits in (
        ("died", new.dead_qubits & ~old.dead_qubits),
        ("came back", old.dead_qubits & ~new.dead_qubits),
    ):
        if qubits.any():
            echo(f"{change}: {', '.join(f'qubit {q}' for q in np.flatnonzero(qubits))}")


def _read(source: str) -> Any:
    """Load a calibration from a file, or read that of a machine."""
    from qcluster.device.machines.calibration import Calibration
    from qcluster.device.machines.machine import find_machine
    from qcluster.device.machines.names import is_path

    return Calibration.load(source) if Path(source).is_file() or is_path(source) else find_machine(source).calibration


def _figures(calibration: Any) -> list[tuple[str, Any, list[Any]]]:
    """Names, values and places (qubits or pairs) of all figures of a calibration."""
    qubits: list[Any] = list(range(calibration.n_qubits))
    pairs = [tuple(pair) for pair in calibration.couplings.tolist()]
    singles_and_errors = zip(calibration.gates_1q, calibration.errors_1q, strict=True)
    pairs_and_errors = zip(calibration.gates_2q, calibration.errors_2q, strict=True)
    return [
        *((name, values(calibration), qubits) for name, values in _QUBIT_FIGURES),
        *((f"{gate} error", errors, qubits) for gate, errors in singles_and_errors),
        *((f"{gate} error", errors, pairs) for gate, errors in pairs_and_errors),
    ]
