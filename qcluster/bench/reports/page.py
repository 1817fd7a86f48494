"""One self-contained page of HTML: a table that sorts, and the strings of any sample; opens from disk, offline."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from math import isnan, nan
from pathlib import Path
from typing import Any

from qcluster.bench.reports.intervals import raw_interval
from qcluster.bench.reports.summary import RAW, Summary, few_circuits
from qcluster.folders import write_own

_COLUMNS = ("task", "case", "machine", "n_bits", "ideal_entropy", "shots")


def write_page(
    path: Path,
    title: str,
    rows: Sequence[Mapping[str, str]],
    groups: Sequence[Sequence[Summary]],
    bars: Mapping[tuple[str, str], str],
) -> None:
    """Write the page.

    Args:
        path: the file.
        title: heading.
        rows: scores, one a task and method.
        groups: summaries of each method, all samples first.
        bars: the likeliest strings of each task and method, as in ``bars.csv``.
    """
    methods = [one.method for one in groups[0]]
    tasks: dict[str, dict[str, Any]] = {}
    for row in rows:
        task = tasks.setdefault(row["task"], {**{key: row[key] for key in _COLUMNS}, "hf": {}, "bars": {}, "note": {}})
        task["hf"][row["method"]] = fidelity = _clean(float(row["hellinger_fidelity"] or nan))
        task["note"][row["method"]] = row["note"] or row["status"]
        task["bars"][row["method"]] = bars.get((row["task"], row["method"]), "")
        shots = float(row["shots"] or 0)
        if row["method"] == RAW and fidelity is not None and shots > 0:
            task["ends"] = raw_interval(fidelity, shots)
    content = {
        "methods": methods,
        "tasks": list(tasks.values()),
        "groups": [
            {"name": part[0].group, "few": few_circuits(part), "summaries": [_pack(one) for one in part]}
            for part in groups
        ],
    }
    data = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")  # no tag and no comment begins in it
    page = resources.files("qcluster.bench").joinpath("page.html").read_text(encoding="utf-8")
    parts = {"TITLE": html.escape(title), "DATA": data}
    page = re.sub(r"@@(TITLE|DATA)@@", lambda place: parts[place[1]], page)  # once: a title may read like a place
    write_own(path, page)


def _pack(one: Summary) -> dict[str, object]:
    return {key: _clean(value, 6) if isinstance(value, float) else value for key, value in asdict(one).items()}


def _clean(value: float, digits: int = 17) -> float | None:
    """Shorten a number; JSON has no NaN."""
    return None if isnan(value) else float(f"{value:.{digits}g}")
