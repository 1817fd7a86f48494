"""Report on a campaign: Markdown, CSV, figures, and one page of HTML."""

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
from qcluster.bench.reports.summary import GROUPINGS, LOW_ENTROPY, RAW, Summary, few_circuits, group_rows, summarise
from qcluster.bench.scores import BAR_COLUMNS
from qcluster.bench.store import read_scores
from qcluster.bench.table import cell, read_rows
from qcluster.core.words import many
from qcluster.errors import StorageError
from qcluster.folders import write_own

Rows = Sequence[Mapping[str, str]]

OURS = ("mixture", "circuit", "reference", "paper", "paper_given")
"""Methods that are compared with each of `OTHERS`."""
OTHERS = (RAW, "m3", "hammer", "qbeep", "hammr_l", "em_uniform", "dem", "plurality")
"""What they are compared with."""

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

    Figures of an earlier report that are not drawn anew are removed: they would pass for those of this one.

    Args:
        folder: with ``scores.csv``.
        title: heading; by default the campaign's name, where the folder knows it, else the name of the folder.
        description: a sentence or two below it; by default the campaign's own.
        figures: whether to draw PNG figures (needs matplotlib).
        notes: Markdown that follows the first table, such as published figures to compare with.

    Returns:
        The files written.

    Raises:
        StorageError: there are no scores, none of them can be compared with that of the raw counts, or the folder
            cannot be written to.
    """
    folder = Path(folder)
    rows = latest(read_scores(folder))
    if not rows:
        raise StorageError(f"there are no scores in {folder}: run a campaign or score records first")
    known = read_about(folder)
    about = About(title or known.title or folder.resolve().name, description or known.description)
    overall = summarise(rows, "all")
    if not overall:
        raise StorageError(
            f"no sample in {folder} has a fidelity of its raw counts, which a report compares with: the ideal output "
            "must be known, and the method identity scored"
        )
    grouped = {kind: dict(_summaries(rows, kind)) for kind in GROUPINGS}
    written = [folder / "report.md", folder / "summary.csv", folder / "report.html"]
    parts = [overall, *(part for groups in grouped.values() if len(groups) > 1 for part in groups.values())]
    try:
        write_own(written[0], _markdown(about, rows, overall, grouped, notes))
        every = [*overall, *(one for groups in grouped.values() for part in groups.values() for one in part)]
        write_own(written[1], _csv(every))
        bars = {(row["task"], row["method"]): row["bars"] for row in read_rows(folder / "bars.csv", BAR_COLUMNS)}
        write_page(written[2], about, rows, parts, bars)
        if figures:
            written += draw_figures(folder, rows, overall)
        for path in {folder / name for name in FILES}.difference(written):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write the report into {folder}: {error}") from error
    return written


def _summaries(rows: Sequence[Mapping[str, str]], kind: str) -> Iterator[tuple[str, list[Summary]]]:
    """Summarise each group of a kind; one in which no raw counts have a fidelity is left out."""
    for name, part in group_rows(rows, kind).items():
        if found := summarise(part, f"{kind}={name}"):
            yield name, found


def latest(rows: Rows) -> list[Mapping[str, str]]:
    """Keep one score per task and method, the newest."""
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
        f"{many(tasks, 'sample', ',')} of {many(circuits, 'circuit', ',')}, every method on the same shots. HF is the "
        "Hellinger fidelity to the ideal output; gain is the mean of HF less the raw HF of the same sample; a tie is a "
        "change within .005; harm is the share of samples that lost more than .02; worst is the largest loss. x raw is "
        "the factor over raw: its "
        "geometric mean, its median, and the ratio of the means. A sample is skipped where the method lacks what it "
        "needs, and failed where it ends in an error; neither is in its figures.",
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
        left = len(failures) - _FAILURES
        rest = [f"- {many(left, 'other failure', ',')}, with what went wrong, in scores.csv"] if left > 0 else []
        parts += ["## Failures", "\n".join([*failures[:_FAILURES], *rest])]
    return "\n\n".join(parts) + "\n"


_FAILURES = 50
"""Failures that are told; where there are more, how many."""

_MARKS = re.compile(r"[\\`*\[\]|~]|(?<!\w)_|_(?!\w)|^#")
"""What Markdown reads as a mark, wherever it may begin one; inside a word an underscore is none."""


def plain(text: str) -> str:
    """Write a name or a message into Markdown as it is, on one line: no tag, table cell, link or emphasis begins in it.

    Example:
        >>> print(plain("<b>em_uniform</b> | [a](b)"))
        &lt;b>em_uniform&lt;/b> \\| \\[a\\](b)
    """
    line = _MARKS.sub(r"\\\g<0>", " ".join(text.split()))
    line = re.sub(r"&(?=#?\w+;)", "&amp;", line)
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", line)


def compare_pairs(rows: Rows) -> list[Summary]:
    """Compare this package's methods with each of the others where outputs are low in entropy, as the paper does."""
    low = [row for row in rows if row["ideal_entropy"] and float(row["ideal_entropy"]) <= LOW_ENTROPY]
    group = f"low entropy (H/n <= {LOW_ENTROPY})"
    duels = [
        one
        for base in OTHERS
        for one in summarise([row for row in low if row["method"] in (base, *OURS)], group, base=base)
        if one.method in OURS and one.n
    ]
    return sorted(duels, key=lambda one: OURS.index(one.method))


def pair_table(summaries: Sequence[Summary]) -> str:
    """Write comparisons with other methods as a Markdown table."""
    return _table(_PAIR_HEAD, _pair_cells, summaries)


def _pair_cells(one: Summary) -> list[str]:
    names = [plain(one.method), plain(one.base), str(one.n), str(one.circuits)]
    factors = [factor(one), short(one.median_factor, 2), short(one.mean_factor, 2)]
    return [*names, *factors, gain(one), f"{one.wins}/{one.ties}/{one.losses}", short(one.worst)]


def table(summaries: Sequence[Summary]) -> str:
    """Write summaries as a Markdown table."""
    return _table(_HEAD, _cells, summaries)


def _table(head: Sequence[str], cells: Callable[[Summary], list[str]], summaries: Sequence[Summary]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (head, *map(cells, summaries))]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:], "", few_circuits(summaries)]).rstrip()


def _cells(one: Summary) -> list[str]:
    return [
        plain(one.method),
        str(one.n),
        str(one.circuits),
        mean(one),
        short(one.median),
        "" if one.method == RAW else gain(one),
        factor(one),
        short(one.median_factor, 2),
        short(one.mean_factor, 2),
        f"{one.wins}/{one.ties}/{one.losses}",
        harm(one),
        short(one.worst),
        "" if math.isnan(one.correct) else f"{one.correct:.0%}",
        "" if math.isnan(one.seconds) else f"{one.seconds:.2g}",
        str(one.skipped or ""),
        str(one.failed or ""),
    ]


def mean(one: Summary) -> str:
    """Write the mean fidelity with its interval."""
    return _between(one.mean, one.mean_low, one.mean_high, ".3f")


def gain(one: Summary) -> str:
    """Write the mean gain with its interval."""
    return _between(one.gain, one.gain_low, one.gain_high, "+.3f")


def factor(one: Summary) -> str:
    """Write the geometric mean of the factor with its interval."""
    return _between(one.factor, one.factor_low, one.factor_high, ".2f")


def harm(one: Summary) -> str:
    """Write the share of harmed samples with its interval."""
    return _between(one.harm, one.harm_low, one.harm_high, ".0%")


def _between(value: float, low: float, high: float, form: str) -> str:
    if math.isnan(value):
        return ""
    return f"{value:{form}}" if math.isnan(low) else f"{value:{form}} [{low:{form}}, {high:{form}}]"


def short(value: float, digits: int = 3) -> str:
    """Write a number briefly; nothing for NaN."""
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def _csv(summaries: Sequence[Summary]) -> str:
    names = [field.name for field in fields(Summary)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for one in summaries:
        values = [getattr(one, name) for name in names]
        writer.writerow([f"{value:.6g}" if isinstance(value, float) else cell(value) for value in values])
    return text.getvalue()
