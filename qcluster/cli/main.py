"""The command ``qcluster``: its groups of commands, and the commands outside a group."""

import os
import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.table import Table

from qcluster import __version__
from qcluster.cli.bench import bench_app
from qcluster.cli.calibration import calibration_app
from qcluster.cli.console import echo, open_console, show_run, show_table
from qcluster.cli.decision import decision_app
from qcluster.cli.doctor import doctor
from qcluster.cli.examples import add_examples
from qcluster.cli.inputs import read_counts_or_run, read_reference_noise
from qcluster.cli.jobs import jobs_app
from qcluster.cli.options import Bits, Partial, Point, keep_apart, refuse, to_draw, to_write_or_print
from qcluster.cli.qnn import qnn_app
from qcluster.cli.rates import rates_app
from qcluster.core.counts.distribution import Distribution
from qcluster.core.methods.registry import Method, every, find
from qcluster.core.mitigate import mitigate
from qcluster.core.mitigation import Mitigation
from qcluster.core.uncertainty.interval import Interval
from qcluster.core.words import plural
from qcluster.device.interrupt import end_at_interrupt
from qcluster.errors import QClusterError

app = typer.Typer(
    name="qcluster",
    help="Quantum error mitigation of Sampler counts.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_METHODS = f"One of: {', '.join(method.name for method in every())}, or MODULE:METHOD for one of yours."

app.add_typer(jobs_app)
app.add_typer(calibration_app)
app.add_typer(bench_app)
app.add_typer(qnn_app)
app.add_typer(rates_app)
app.add_typer(decision_app)
app.command()(doctor)


def _method_names(incomplete: str) -> list[str]:
    """Names of methods that begin with the given letters, for completion in the shell."""
    return [method.name for method in every() if method.name.startswith(incomplete)]


def _method_name(name: str) -> str:
    """Return the name of a method; for ``MODULE:METHOD``, that of the Method in a module, which is imported."""
    if ":" not in name:
        return name
    from qcluster.bench.methods import import_named

    method = import_named(name)
    if not isinstance(method, Method):
        raise ValueError(f"method {name!r} must be a Method, as enter and register return it; got {method!r:.60}")
    return method.name


def _version(wanted: bool) -> None:
    if wanted:
        echo(f"qcluster {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Quantum error mitigation of Sampler counts."""


@app.command("mitigate")
def mitigate_file(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(
            help="JSON: counts, a saved runtime result or a Run; or the folder of a saved run. '-' is standard input."
        ),
    ],
    noise: Annotated[
        str | None, typer.Option(help="Flip rate, or a JSON file with a rate, a list of rates, or pairs.")
    ] = None,
    method: Annotated[str | None, typer.Option(help=_METHODS, autocompletion=_method_names)] = None,
    expect: Annotated[
        str | None, typer.Option(help="Prior knowledge of the ideal: sparse (few strings) or dense.")
    ] = None,
    gate: Annotated[
        list[Path] | None,
        typer.Option(help="File of a gate that you trained, in place of that of its kind; may be repeated."),
    ] = None,
    guard: Annotated[bool, typer.Option(help="Leave counts unchanged if mitigation would not help.")] = True,
    pub: Annotated[
        int | None,
        typer.Option(help="Index of the set of counts, and of the reference, in each file that has several, from 0."),
    ] = None,
    json_out: Annotated[
        Path | None,
        typer.Option("--json", help="Write the result as JSON; '-' is standard output.", callback=to_write_or_print),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw raw and mitigated bars into a file: PNG, PDF or SVG.", callback=to_draw)
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="Number of strings to show; default: 10, in a figure as plot() does.")
    ] = None,
    observable: Annotated[
        list[str] | None,
        typer.Option(help="Also give the expectation value of a string of I and Z, such as ZZI; may be repeated."),
    ] = None,
    level: Annotated[float, typer.Option(help="Confidence level of the intervals, between 0 and 1.")] = 0.95,
    reference: Annotated[
        str | None,
        typer.Option(help="Counts of a reference circuit, which measure the noise: JSON, or the folder of a run."),
    ] = None,
    expected: Annotated[
        str | None, typer.Option(help="Noiseless output of the reference circuit, such as 0110.")
    ] = None,
    bits: Bits = None,
    point: Point = None,
    partial: Partial = False,
) -> None:
    """Mitigate counts from a file, or a saved run with its circuit, calibration and reference."""
    from qcluster.device.run import Run
    from qcluster.files import format_mitigation, read_rates, write_mitigation
    from qcluster.learn.decision.gates import read_gate

    gates = {f"--gate {path}": path for path in gate or []}
    inputs = {"the counts": file, "--noise": noise, "--reference": reference, **gates}
    keep_apart({"--json": json_out, "--plot": plot}, inputs)
    method = None if method is None else _method_name(method)
    if method is not None and not find(method).guarded:
        refuse(context, ["guard"], f"the method {method} has no guard")
    if reference is None and expected is not None:
        raise ValueError("--expected goes with --reference, whose output it is; got it alone")
    if reference is not None and noise is not None:
        raise ValueError("--noise and --reference both say what the noise is: give one of them")
    if file == "-" and "-" in (noise, reference):
        raise ValueError("standard input can hold only one of these: give the counts, or the noise, as a file")
    noise_input, any_pub = None if noise is None else read_rates(noise), False
    if reference is not None:
        noise_input, any_pub = read_reference_noise(reference, expected, pub)
    own = [read_gate(path) for path in gates.values()]
    has_noise = noise_input is not None
    counts = read_counts_or_run(context, file, pub, bits, point, partial=partial, has_noise=has_noise, any_pub=any_pub)
    fixed = mitigate(counts, noise_input, method=method, guard=guard, expect=expect, gates=own)
    averages = dict(zip(observable or [], fixed.intervals(observable or [], level), strict=True))
    shown = _intervals(fixed, top or 10, level)
    to_stdout = json_out == Path("-")
    # Files first: standard output may be a pipe that its reader closes early.
    if json_out is not None and not to_stdout:
        write_mitigation(json_out, fixed, shown | averages)
    if plot is not None:
        from qcluster.plot import save_mitigation

        save_mitigation(plot, fixed, top=top)
    if isinstance(counts, Run):
        show_run(counts, err=to_stdout)
    if to_stdout:
        typer.echo(format_mitigation(fixed, shown | averages))
    else:
        _show(fixed, shown, level=level)
        _show_averages(fixed, averages, level)


@app.command()
def demo(
    qubits: Annotated[int, typer.Option(help="Number of qubits of the GHZ circuit, 2 to 12.")] = 8,
    shots: Annotated[int, typer.Option(min=1, help="Number of shots.")] = 8192,
    seed: Annotated[int, typer.Option(min=0, help="Seed of compilation and simulation.")] = 7,
    plot: Annotated[Path, typer.Option(help="File of the figure.", callback=to_draw)] = Path("qcluster-demo.png"),
) -> None:
    """Simulate a GHZ circuit with the noise of a real IBM machine, and mitigate its counts."""
    from qcluster.demo import run_demo
    from qcluster.plot import save_mitigation

    console = open_console()
    with console.status(f"compiling and simulating GHZ-{qubits} with the noise of FakeTorino"):
        result = run_demo(qubits, shots, seed)
    save_mitigation(plot, result.fixed, result.ideal)
    _show(result.fixed, _intervals(result.fixed, 6), result.ideal)
    raw, mitigated = result.fidelities
    console.print(f"Hellinger fidelity to the ideal: raw {raw:.4f}, mitigated {mitigated:.4f}")
    console.print(f"figure: {plot}")


def _intervals(fixed: Mitigation, top: int, level: float = 0.95) -> dict[str, Interval]:
    """Intervals of the most probable strings of the answer, filled up with those of the counts, `top` in all."""
    shown = list(fixed.distribution.top(top))
    shown += [string for string in fixed.raw.top(top) if string not in shown][: max(0, top - len(shown))]
    return dict(zip(shown, fixed.intervals(shown, level), strict=True))


def _show(
    fixed: Mitigation, shown: dict[str, Interval], ideal: Distribution | None = None, level: float = 0.95
) -> None:
    """Print the strings with their intervals, and the verdict."""
    console = open_console()
    noun = "string" if fixed.raw.n_outcomes == 1 else "different string"
    parts = plural(fixed.raw.n_bits, "bit"), plural(fixed.raw.shots, "shot"), plural(fixed.raw.n_outcomes, noun)
    console.print(", ".join(parts))
    table = _table("bitstring", level, *(["ideal"] if ideal is not None else []))
    for string, interval in shown.items():
        cells = [f"{fixed.raw.get(string, 0.0):.4f}", f"{fixed.distribution.get(string, 0.0):.4f}", _ends(interval)]
        table.add_row(string, *cells, *([f"{ideal.get(string, 0.0):.4f}"] if ideal is not None else []))
    show_table(table)
    confidence = "" if fixed.confidence is None else f", confidence {fixed.confidence:.2f}"
    console.print(
        f"method {fixed.method}, {'applied' if fixed.applied else 'not applied'}: share {fixed.share:.2f}{confidence}"
    )
    console.print(fixed.reason)


def _show_averages(fixed: Mitigation, averages: dict[str, Interval], level: float) -> None:
    """Print expectation values, raw and mitigated."""
    if not averages:
        return
    table = _table("observable", level)
    for name, mitigated in averages.items():
        raw = fixed.raw.expectation(name).value
        table.add_row(name, f"{raw:.4f}", f"{mitigated.value:.4f}", _ends(mitigated))
    show_table(table)


def _table(first: str, level: float, *more: str) -> Table:
    table = Table()
    table.add_column(first)
    for name in ("raw", "mitigated", f"{100 * level:g}% interval", *more):
        table.add_column(name, justify="right")
    return table


def _ends(interval: Interval) -> str:
    return f"{interval.low:.4f} to {interval.high:.4f}"


add_examples(app)


def main() -> None:
    """Run the command line; bad input ends it with one line on standard error and exit code 2."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by the program that started this one, as some daemons do
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 (stays open until the end)
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # as for standard error: a µ must not fail in an ASCII pipe
    if not sys.stderr.isatty():
        app.rich_markup_mode = None  # no boxes around errors, which break lines after 80 characters
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # and not ignored, as under nohup
        signal.signal(signal.SIGINT, end_at_interrupt)
    try:
        app()
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (ValueError, TypeError, QClusterError, MemoryError) as error:
        _fail(str(error) or type(error).__name__)


def _fail(message: str) -> NoReturn:
    echo(f"error: {message}", err=True)
    sys.exit(2)
