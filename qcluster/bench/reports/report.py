"""Reports on campaigns: Markdown, CSV, figures, and one HTML page."""

import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from qcluster.bench.reports.about import About, read_about
from qcluster.bench.reports.figures import FILES, draw_figures
from qcluster.bench.reports.page import write_page
from qcluster.bench.reports.summary import GROUPINGS, LOW_ENTROPY, RAW, Summary, caveats, group_rows, summarise
from qcluster.bench.scores import BAR_COLUMNS
from qcluster.bench.store import read_scores
from qcluster.bench.table import cell, read_rows
from qcluster.core.words import plural
from qcluster.errors import StorageError
from qcluster.folders import write_managed

Rows = Sequence[Mapping[str, str]]

OURS = ("mixture", "circuit", "reference", "paper", "paper_given")
"""Methods that are compared with each of `OTHERS`."""
OTHERS = (RAW, "m3", "hammer", "qbeep", "hammr_l", "em_uniform", "dem", "plurality")
"""Methods that `OURS` are compared with."""

_DUELS = (
    f"## Against each other\n\nWhere the ideal output is low in entropy (H/n <= {LOW_ENTROPY}): the factor, gain, wins "
    "and largest loss of one method over another on the same shots. Of so many intervals one in twenty misses by "
    "chance."
)

_HEAD = (
    *("method", "n", "circuits", "mean HF [95 %]", "median", "gain [95 %]", "x raw (geo) [95 %]", "x raw (median)"),
    *("x raw (means)", "win/tie/loss", "harm [95 %]", "worst", "correct", "CPU s/call", "skipped", "failed"),
)
_PAIR_HEAD = (
    *("method", "over", "n", "circuits", "x (geo) [95 %]", "x (median)", "x (means)", "gain [95 %]", "win/tie/loss"),
    "worst",
)


def write_report(
    folder: str | Path, *, title: str = "", description: str = "", figures: bool = True, notes: str = ""
) -> list[Path]:
    """Write ``report.md``, ``summary.csv``, ``report.html`` and figures into a campaign's folder.

    Figures of an earlier report that are not drawn again are removed, so that they are not mistaken for new ones.

    Args:
        folder: folder with ``scores.csv``.
        title: title; by default the name of the campaign if the folder has it, otherwise the name of the folder.
        description: one or two sentences below the title; by default the campaign's description.
        figures: whether to draw PNG figures (needs matplotlib).
        notes: Markdown that follows the first table, such as published figures for comparison.

    Returns:
        The files written.

    Raises:
        StorageError: there are no scores, none of them can be compared with the raw counts, or the folder cannot be
            written to.
    """
    folder = Path(folder)
    rows = latest(read_scores(folder))
    if not rows:
        raise StorageError(f"there are no scores in {folder}: run a campaign or score records first")
    stored = read_about(folder)
    about = About(title or stored.title or folder.resolve().name, description or stored.description)
    overall = summarise(rows, "all")
    if not overall:
        raise StorageError(
            f"no sample in {folder} has a fidelity of its raw counts, which a report compares with: the ideal output "
            "must be known, and the method identity scored"
        )
    grouped = {kind: dict(_summaries(rows, kind)) for kind in GROUPINGS}
    paths = [folder / "report.md", folder / "summary.csv", folder / "report.html"]
    parts = [overall, *(part for groups in grouped.values() if len(groups) > 1 for part in groups.values())]
    try:
        write_managed(paths[0], _markdown(about, rows, overall, grouped, notes))
        summaries = [
            *overall,
            *(summary for groups in grouped.values() for part in groups.values() for summary in part),
        ]
        write_managed(paths[1], _csv(summaries))
        bars = {(row["task"], row["method"]): row["bars"] for row in read_rows(folder / "bars.csv", BAR_COLUMNS)}
        write_page(paths[2], about, rows, parts, bars)
        if figures:
            paths += draw_figures(folder, rows, overall)
        for path in {folder / name for name in FILES}.difference(paths):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write the report into {folder}: {error}") from error
    return paths


def _summaries(rows: Sequence[Mapping[str, str]], kind: str) -> Iterator[tuple[str, list[Summary]]]:
    """Summarise each group of a kind; groups in which no raw counts have a fidelity are left out."""
    for name, part in group_rows(rows, kind).items():
        if summaries := summarise(part, f"{kind}={name}"):
            yield name, summaries


def latest(rows: Rows) -> list[Mapping[str, str]]:
    """Keep the newest score for each task and method."""
    return list({(row["task"], row["method"]): row for row in rows}.values())


def _markdown(
    about: About,
    rows: Rows,
    overall: Sequence[Summary],
    grouped: Mapping[str, Mapping[str, Sequence[Summary]]],
    notes: str,
) -> str:
    tasks, circuits = (len({row[key] for row in rows}) for key in ("task", "case"))
    duels = compare_pairs(rows)
    parts = [
        f"# {plain(about.title)}",
        *([plain(about.description)] if about.description else []),
        f"{plural(tasks, 'sample', ',')} of {plural(circuits, 'circuit', ',')}, every method on the same shots. HF is "
        "the Hellinger fidelity to the ideal output; gain is the mean of HF less the raw HF of the same sample; a tie "
        "is a change within .005; harm is the share of samples that lost more than .02; worst is the largest loss. x "
        "raw is the factor over raw: its geometric mean, its median, and the ratio of the means. A sample is skipped "
        "where the method lacks what it needs, and failed where it ends in an error; neither is in its figures.",
        "In brackets: the 95 % interval of the average over circuits such as these, by drawing circuits anew, each "
        "with all its outputs. Methods are to be compared by gains and factors, which are of the same shots, not by "
        "whether intervals of mean HF overlap.",
        table(overall),
        *([notes] if notes else []),
        *([_DUELS, pair_table(duels)] if duels else []),
    ]
    for kind, groups in grouped.items():
        if len(groups) > 1:
            parts.append(f"## By {kind}")
            parts += [f"### {plain(name)}\n\n{table(part)}" for name, part in groups.items()]
    failures = sorted({f"- {plain(row['method'])}: {plain(row['note'])}" for row in rows if row["status"] == "failed"})
    if failures:
        n_hidden = len(failures) - _MOST_FAILURES
        hidden = (
            [f"- {plural(n_hidden, 'other failure', ',')}, with what went wrong, in scores.csv"] if n_hidden > 0 else []
        )
        parts += ["## Failures", "\n".join([*failures[:_MOST_FAILURES], *hidden])]
    return "\n\n".join(parts) + "\n"


_MOST_FAILURES = 50
"""Largest number of failures that are listed; further ones are counted."""

_MARKDOWN = re.compile(r"[\\`*\[\]|~]|(?<!\w)_|_(?!\w)|^#")
"""Characters that may begin Markdown syntax; an underscore inside a word does not."""


def plain(text: str) -> str:
    """Escape a name or message for Markdown, on one line: no tag, table cell, link or emphasis begins in it.

    Example:
        >>> print(plain("<b>em_uniform</b> | [a](b)"))
        &lt;b>em_uniform&lt;/b> \\| \\[a\\](b)
    """
    line = _MARKDOWN.sub(r"\\\g<0>", " ".join(text.split()))
    line = re.sub(r"&(?=#?\w+;)", "&amp;", line)
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", line)


def compare_pairs(rows: Rows) -> list[Summary]:
    """Compare this package's methods with each of the others on outputs of low entropy, as the paper does."""
    low = [row for row in rows if row["ideal_entropy"] and float(row["ideal_entropy"]) <= LOW_ENTROPY]
    group = f"low entropy (H/n <= {LOW_ENTROPY})"
    duels = [
        summary
        for base in OTHERS
        for summary in summarise([row for row in low if row["method"] in (base, *OURS)], group, base=base)
        if summary.method in OURS and summary.n
    ]
    return sorted(duels, key=lambda summary: OURS.index(summary.method))


def pair_table(summaries: Sequence[Summary]) -> str:
    """Format comparisons with other methods as a Markdown table."""
    return _table(_PAIR_HEAD, _pair_cells, summaries)


def _pair_cells(summary: Summary) -> list[str]:
    names = [plain(summary.method), plain(summary.base), str(summary.n), str(summary.circuits)]
    factors = [factor(summary), short(summary.median_factor, 2), short(summary.mean_factor, 2)]
    return [*names, *factors, gain(summary), f"{summary.wins}/{summary.ties}/{summary.losses}", short(summary.worst)]


def table(summaries: Sequence[Summary]) -> str:
    """Format summaries as a Markdown table."""
    return _table(_HEAD, _cells, summaries)


def _table(head: Sequence[str], cells: Callable[[Summary], list[str]], summaries: Sequence[Summary]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (head, *map(cells, summaries))]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:], "", plain(caveats(summaries))]).rstrip()


def _cells(summary: Summary) -> list[str]:
    return [
        plain(summary.method),
        str(summary.n),
        str(summary.circuits),
        mean(summary),
        short(summary.median),
        "" if summary.method == RAW else gain(summary),
        factor(summary),
        short(summary.median_factor, 2),
        short(summary.mean_factor, 2),
        f"{summary.wins}/{summary.ties}/{summary.losses}",
        harm(summary),
        short(summary.worst),
        "" if math.isnan(summary.correct) else f"{summary.correct:.0%}",
        "" if math.isnan(summary.seconds) else f"{summary.seconds:.2g}",
        str(summary.skipped or ""),
        str(summary.failed or ""),
    ]


def mean(summary: Summary) -> str:
    """Format the mean fidelity with its interval."""
    return _with_interval(summary.mean, summary.mean_low, summary.mean_high, ".3f")


def gain(summary: Summary) -> str:
    """Format the mean gain with its interval."""
    return _with_interval(summary.gain, summary.gain_low, summary.gain_high, "+.3f")


def factor(summary: Summary) -> str:
    """Format the geometric mean of the factor with its interval."""
    return _with_interval(summary.factor, summary.factor_low, summary.factor_high, ".2f")


def harm(summary: Summary) -> str:
    """Format the share of harmed samples with its interval."""
    return _with_interval(summary.harm, summary.harm_low, summary.harm_high, ".0%")


def _with_interval(value: float, low: float, high: float, form: str) -> str:
    if math.isnan(value):
        return ""
    return f"{value:{form}}" if math.isnan(low) else f"{value:{form}} [{low:{form}}, {high:{form}}]"


def short(value: float, digits: int = 3) -> str:
    """Format a number with few digits; empty for NaN."""
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _csv(summaries: Sequence[Summary]) -> str:
    names = [field.name for field in fields(Summary)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for summary in summaries:
        values = [getattr(summary, name) for name in names]
        writer.writerow([f"{value:.6g}" if isinstance(value, float) else cell(value) for value in values])
    return text.getvalue()
