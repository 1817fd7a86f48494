"""One self-contained page of HTML: a table that sorts, and the strings of any sample; opens from disk, offline."""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path

from qcluster.bench.summary import Summary

_COLUMNS = ("case", "machine", "n_bits", "ideal_entropy", "shots")


def write_page(
    path: Path,
    title: str,
    rows: Sequence[Mapping[str, str]],
    overall: Sequence[Summary],
    bars: Mapping[tuple[str, str], str],
) -> None:
    """Write the page.

    Args:
        path: the file.
        title: heading.
        rows: scores, one a task and method.
        overall: summary of each method.
        bars: the likeliest strings of each task and method, as in ``bars.csv``.
    """
    methods = [one.method for one in overall]
    tasks: dict[str, dict[str, object]] = {}
    for row in rows:
        task = tasks.setdefault(row["task"], {**{key: row[key] for key in _COLUMNS}, "hf": {}, "bars": {}, "note": {}})
        task["hf"][row["method"]] = float(row["hellinger_fidelity"]) if row["hellinger_fidelity"] else None  # type: ignore[index]
        task["note"][row["method"]] = row["note"] or row["status"]  # type: ignore[index]
        task["bars"][row["method"]] = bars.get((row["task"], row["method"]), "")  # type: ignore[index]
    summaries = [{key: _clean(value) for key, value in asdict(one).items()} for one in overall]
    content = {"methods": methods, "tasks": list(tasks.values()), "summaries": summaries}
    data = json.dumps(content, separators=(",", ":")).replace("</", "<\\/")
    page = resources.files("qcluster.bench").joinpath("page.html").read_text(encoding="utf-8")
    page = page.replace("@@TITLE@@", html.escape(title)).replace("@@DATA@@", data)
    path.write_text(page, encoding="utf-8")


def _clean(value: object) -> object:
    return None if isinstance(value, float) and value != value else value
