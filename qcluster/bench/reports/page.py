"""The report as one self-contained HTML page: forest plot, sortable tables, strings of any sample; works offline."""

import datetime
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from math import isnan, nan
from pathlib import Path, PurePath
from typing import Any

from qcluster.bench.reports.about import About
from qcluster.bench.reports.intervals import raw_interval
from qcluster.bench.reports.summary import HARM, RAW, Summary, caveats
from qcluster.core.methods.registry import every
from qcluster.core.words import plural
from qcluster.folders import write_managed

_COLUMNS = ("task", "case", "machine", "n_bits", "ideal_entropy", "shots")
_VARIANTS = {
    RAW: "The raw counts, which everything is compared with.",
    "circuit": "Deconvolution under the faults of the compiled circuit at the rates of its calibration.",
    "mixture_unguarded": "The mixture of a few strings, whatever the evidence for it.",
    "paper": "Q-Cluster as published (arXiv:2504.10801), at a flip rate that is estimated.",
    "paper_given": "Q-Cluster as published, at the flip rate that follows from the calibration.",
    "reference": "Everything that a run knows: its counts, compiled circuit, calibration and reference circuit.",
}
"""Descriptions of methods that are not in the registry, or that get different data here."""
_PACKAGES = ("qcluster", "qiskit", "qiskit-aer", "qiskit-ibm-runtime", "mthree", "numpy")


def write_page(
    path: Path,
    about: About,
    rows: Sequence[Mapping[str, str]],
    groups: Sequence[Sequence[Summary]],
    bars: Mapping[tuple[str, str], str],
) -> None:
    """Write the HTML page.

    Args:
        path: the file.
        about: title and description.
        rows: scores, one for each task and method.
        groups: summaries of the methods for each group of samples; the first group is of all samples.
        bars: the most likely strings for each task and method, as in ``bars.csv``.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    methods = [summary.method for summary in groups[0]]
    content = {
        "raw": RAW,
        "harm": HARM,
        "methods": methods,
        "tasks": _tasks(rows, bars),
        "groups": [
            {
                "name": group[0].group,
                "caveats": caveats(group),
                "summaries": [_summary_values(summary) for summary in group],
            }
            for group in groups
        ],
    }
    pages = Environment(loader=PackageLoader("qcluster.bench.reports", "."), autoescape=True, undefined=StrictUndefined)
    page = pages.get_template("page.html.j2").render(
        title=about.title,
        description=about.description,
        facts=list(_facts(rows)),
        methods=[(name, _description(name)) for name in methods],
        data=content,
    )
    write_managed(path, page)


def _description(name: str) -> str:
    """Describe a method in a sentence."""
    base, _, how = name.rpartition("@")
    if base:
        return f"{base} with a wrong calibration ({how})."
    base, _, files = name.partition("+")
    if files:
        return f"{base} with the gate of {files.replace('+', ' or ')}."
    descriptions = {method.name: method.summary for method in every()} | _VARIANTS
    return descriptions.get(name, "A method of your own.")


def _facts(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Yield the samples, shots, machines, date and versions of the report."""
    samples, circuits = (len({row[key] for row in rows}) for key in ("task", "case"))
    yield f"{plural(samples, 'sample', ',')} of {plural(circuits, 'circuit', ',')}"
    shots = sorted({int(float(row["shots"] or 0)) for row in rows})
    yield f"{plural(shots[0], 'shot', ',')} each" if len(shots) == 1 else f"{shots[0]:,} to {shots[-1]:,} shots"
    machines = sorted({row["machine"] for row in rows})
    yield ", ".join(machines[:6]) + (f" and {len(machines) - 6} more" if len(machines) > 6 else "")
    yield f"report of {datetime.date.today().isoformat()}"
    yield ", ".join(f"{name} {version}" for name in _PACKAGES if (version := _version(name)))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _tasks(rows: Sequence[Mapping[str, str]], bars: Mapping[tuple[str, str], str]) -> list[dict[str, Any]]:
    names, tasks = _case_names({row["case"] for row in rows}), dict[str, dict[str, Any]]()
    for row in rows:
        task = tasks.setdefault(row["task"], {**{key: row[key] for key in _COLUMNS}, "hf": {}, "bars": {}, "note": {}})
        task["case"] = names[row["case"]]
        task["hf"][row["method"]] = fidelity = _rounded(float(row["hellinger_fidelity"] or nan))
        task["note"][row["method"]] = row["note"] or row["status"]
        task["bars"][row["method"]] = bars.get((row["task"], row["method"]), "")
        shots = float(row["shots"] or 0)
        if row["method"] == RAW and fidelity is not None and shots > 0:
            task["ends"] = raw_interval(fidelity, shots)
    return list(tasks.values())


def _case_names(cases: Collection[str]) -> dict[str, str]:
    """Return the name to show for each case: of a user's file without its folder, unless two files have one name."""
    short = {case: PurePath(case).name if case.startswith("file:") else case for case in cases}
    return short if len(set(short.values())) == len(short) else {case: case for case in cases}


def _summary_values(summary: Summary) -> dict[str, object]:
    return {key: _rounded(value, 6) if isinstance(value, float) else value for key, value in asdict(summary).items()}


def _rounded(value: float, digits: int = 17) -> float | None:
    """Round to significant digits; None for NaN, which JSON lacks."""
    return None if isnan(value) else float(f"{value:.{digits}g}")
