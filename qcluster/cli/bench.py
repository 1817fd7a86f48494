"""``qcluster bench``: benchmark campaigns."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qcluster.cli.console import open_bar, open_console, show_table
from qcluster.cli.options import Dask, Workers, refuse, refuse_workers_with_dask
from qcluster.errors import StorageError
from qcluster.files import quote_for_shell
from qcluster.folders import folder_path

if TYPE_CHECKING:
    from qcluster.bench.campaign import Progress
    from qcluster.bench.tasks import Campaign

bench_app = typer.Typer(name="bench", help="Benchmark campaigns: run, resume, score, report.", no_args_is_help=True)

Out = Annotated[
    Path | None, typer.Option(help="Folder for shots and scores; by default named after the file.", parser=folder_path)
]
Methods = Annotated[
    str | None,
    typer.Option(
        "--methods", "--method", help="Methods separated by commas, MODULE:FUNCTION for your own; default: all."
    ),
]


@bench_app.command()
def run(
    context: typer.Context,
    campaign: Annotated[Path, typer.Argument(help="TOML file of the campaign.")],
    out: Out = None,
    workers: Workers = 1,
    dask: Dask = None,
) -> None:
    """Run what a campaign has not run yet, and score it. Can be killed and run again at any time."""
    from qcluster.bench.campaign import run as start
    from qcluster.bench.tasks import read_campaign

    refuse_workers_with_dask(context, dask)
    plan, folder = read_campaign(campaign), out or Path(campaign.stem)
    plan = replace(plan, methods=_with_raw(plan.methods))
    failed = _show_progress(start(plan, folder, workers=workers, dask=dask), plan.name)
    _report_failures(folder, plan.methods)
    _report_other_samples(folder, plan)
    _finish(folder, failed, f"qcluster bench report {quote_for_shell(folder)}")


@bench_app.command()
def submit(
    campaign: Annotated[Path, typer.Argument(help="TOML file of a campaign on real machines.")], out: Out = None
) -> None:
    """Submit what a campaign has not run yet to real machines, without waiting. Collect the results later."""
    from qcluster.bench.remote import submit as start
    from qcluster.bench.tasks import read_campaign

    plan, folder = read_campaign(campaign), out or Path(campaign.stem)
    failed = _show_progress(start(plan, folder), plan.name)
    _finish(folder, failed, f"qcluster bench collect {quote_for_shell(folder)}")


@bench_app.command()
def collect(
    folder: Annotated[Path, typer.Argument(help="Folder of a submitted campaign.", parser=folder_path)],
) -> None:
    """Fetch the results of submitted jobs that are done, keep their shots, and score them as the campaign says."""
    from qcluster.bench.methods import METHODS
    from qcluster.bench.remote import collect as start
    from qcluster.bench.reports.about import read_about

    _must_exist(folder)
    methods = _with_raw(read_about(folder).methods or tuple(METHODS))
    failed = _show_progress(start(folder, methods), "collect")
    _report_failures(folder, methods)
    _finish(folder, failed, f"qcluster bench report {quote_for_shell(folder)}")


@bench_app.command()
def score(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Argument(help="Folder of a campaign.", parser=folder_path)] = None,
    records: Annotated[
        Path | None, typer.Option(help="File of recorded counts (JSON lines), in place of a folder.")
    ] = None,
    ideals: Annotated[Path | None, typer.Option(help="File of the records' ideal outputs.")] = None,
    snapshots: Annotated[bool, typer.Option(help="Fill in calibrations from recorded snapshots.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Number of records to use, from the first.")] = None,
    methods: Methods = None,
    again: Annotated[
        bool, typer.Option(help="Discard earlier scores of these methods, which have changed, and score again.")
    ] = False,
    bars: Annotated[bool, typer.Option(help="Keep each record's most probable strings, to draw them.")] = True,
    out: Out = None,
    workers: Workers = 1,
    dask: Dask = None,
) -> None:
    """Score stored shots, or recorded hardware counts, with methods that have not scored them yet."""
    from qcluster.bench.campaign import rescore, score_samples
    from qcluster.bench.methods import METHODS, check_methods
    from qcluster.bench.records import read_records

    refuse_workers_with_dask(context, dask)
    chosen = tuple(METHODS) if methods is None else tuple(name.strip() for name in methods.split(","))
    names = _with_raw(chosen)
    if (folder is None) == (records is None):
        came = "neither" if folder is None else "both"
        raise ValueError(f"score needs a folder, or --records with a file, and not both; got {came}")
    if records is not None:
        place = out or Path(Path(records.name.removesuffix(".gz")).stem)
        samples = read_records(records, ideals, snapshots=snapshots, limit=limit)
        steps = score_samples(samples, place, names, workers=workers, dask=dask, again=again, drawn=bars)
    else:
        assert folder is not None
        refuse(context, ["ideals", "snapshots", "limit", "bars", "out"], "it goes with --records, not with a folder")
        place = folder
        check_methods(names)
        _must_exist(place)
        steps = rescore(folder, names, workers=workers, dask=dask, again=again)
    failed = _show_progress(steps, "score")
    _report_failures(place, names)
    _finish(place, failed, f"qcluster bench report {quote_for_shell(place)}")


@bench_app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder with scores.", parser=folder_path)],
    title: Annotated[str | None, typer.Option(help="Title; by default the campaign's name.")] = None,
    description: Annotated[
        str, typer.Option(help="A sentence or two below the title; by default the campaign's description.")
    ] = "",
    notes: Annotated[Path | None, typer.Option(help="Markdown file to include below the first table.")] = None,
    figures: Annotated[bool, typer.Option(help="Draw figures, or remove earlier ones.")] = True,
) -> None:
    """Write report.md, summary.csv, report.html and figures from the scores of a folder."""
    from rich.table import Table

    from qcluster.bench.reports.report import gain, harm, latest, short, write_report
    from qcluster.bench.reports.summary import caveats, summarise
    from qcluster.bench.store import read_scores
    from qcluster.device.storage import load_text, of_file

    with of_file(notes or ""):
        text = load_text(notes) if notes is not None else ""
    paths = write_report(folder, title=title or "", description=description, figures=figures, notes=text)
    console, table = open_console(), Table()
    overall = summarise(latest(read_scores(folder)), "all")
    unscored = [name for name in ("skipped", "failed") if any(getattr(summary, name) for summary in overall)]
    for name in ("method", "n", "mean HF", "gain [95 %]", "harm [95 %]", *unscored):
        table.add_column(name, justify="left" if name == "method" else "right")
    for summary in overall:
        counts = [str(getattr(summary, name) or "") for name in unscored]
        table.add_row(summary.method, str(summary.n), short(summary.mean), gain(summary), harm(summary), *counts)
    show_table(table)
    if notes_below := caveats(overall):
        console.print(notes_below, markup=False)
    for path in paths:
        console.print(str(path))


def _with_raw(methods: tuple[str, ...]) -> tuple[str, ...]:
    """Add the raw counts ("identity"), with which a report compares every method."""
    return tuple(dict.fromkeys(("identity", *methods)))


def _must_exist(folder: Path) -> None:
    """Refuse a folder that does not exist, so that a mistyped name does not create one."""
    if not folder.is_dir():
        raise StorageError(f"there is no folder {folder}: name that of a campaign, which `qcluster bench run` makes")


def _show_progress(steps: Iterable["Progress"], title: str) -> int:
    """Run the steps of a campaign under a progress bar with the remaining time; returns how many tasks failed."""
    from rich.progress import MofNCompleteColumn, TextColumn

    failed, console, steps = 0, open_console(stderr=True), iter(steps)
    first = next(steps, None)  # errors in the request are raised here, before a bar is drawn
    if first is None:
        return 0
    with open_bar(console, MofNCompleteColumn(), TextColumn("{task.fields[left]}", markup=False), saved=True) as bar:
        line = bar.add_task(title, total=None, left="")
        for step in chain([first], steps):
            remaining = "" if step.done >= step.total else f"{_clock(step.seconds_left)} left"
            bar.update(line, total=step.total, completed=step.done, left=remaining)
            if step.error:
                failed += 1
                console.print(f"{step.label}: {step.error}", style="red")
    return failed


def _clock(seconds: float) -> str:
    """Write a time as h:mm:ss; "?" for NaN, before the first task is done."""
    if seconds != seconds:
        return "?"
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"


def _report_failures(folder: Path, methods: tuple[str, ...]) -> None:
    """Print the methods that failed, with the number of samples and the first error."""
    from qcluster.bench.reports.report import latest
    from qcluster.bench.store import read_scores

    rows = latest(read_scores(folder))
    for method in methods:
        notes = [row["note"] for row in rows if row["method"] == method and row["status"] == "failed"]
        if notes:
            total = sum(row["method"] == method for row in rows)
            text = f"{method} failed on {len(notes)} of {total}, to score again by bench score --again: {notes[0]}"
            open_console(stderr=True).print(text, style="red", markup=False, highlight=False)


def _report_other_samples(folder: Path, plan: "Campaign") -> None:
    """Print how many samples of a folder are not part of the campaign, because its file or a circuit's has changed."""
    from qcluster.bench.store import read_tasks
    from qcluster.bench.tasks import as_stored
    from qcluster.core.words import plural

    stored = set(read_tasks(folder))
    others = len(stored.difference(as_stored(plan.tasks(), stored)))
    if others:
        text = (
            f"{folder} also holds {plural(others, 'sample', ',')} that this campaign does not ask for; a report "
            "includes them"
        )
        open_console(stderr=True).print(text)


def _finish(folder: Path, failed: int, next_command: str) -> None:
    """Print where the results are and what to do next; exit with code 1 if tasks failed."""
    console = open_console()
    if failed:
        console.print(f"{failed} left for the next time; the rest is in {folder}")
        raise typer.Exit(1)
    console.print(f"saved in {folder}; next: {next_command}")
