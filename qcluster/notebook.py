"""HTML for notebooks: the verdict and a small table with bars, readable in light and dark themes."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.labels import short_labels
from qcluster.core.mitigation import Mitigation
from qcluster.core.words import plural

ROWS = 8
"""Most bitstrings in a table, the most probable ones; the last row sums the others."""
_WHOLE = 32
"""Most bits for which a bitstring is written in full."""

_COLOURS = {"raw": "#9a9a9a", "mitigated": "#0f62fe"}  # as in qcluster.plot, which would load matplotlib
_CELL = "padding:1px 10px;border:0"
_NUMBER = f"{_CELL};text-align:right;font-variant-numeric:tabular-nums"


def show_distribution(distribution: Distribution) -> str:
    """HTML of the most probable bitstrings of a distribution; implements `Distribution._repr_html_`."""
    head = (
        f"{plural(distribution.n_outcomes, 'string', ',')} of {plural(distribution.n_bits, 'bit')}, "
        f"{plural(distribution.shots, 'shot', ',.10g')}"
    )
    return _frame("Distribution", head, _table(list(distribution.top(ROWS)), {"raw": distribution}, ("probability",)))


def show_mitigation(fixed: Mitigation) -> str:
    """HTML of the verdict, and of raw beside mitigated probabilities; implements `Mitigation._repr_html_`."""
    reason = fixed.reason.removeprefix("left as is: ")
    facts = f"{plural(fixed.raw.n_bits, 'bit')}, {plural(fixed.raw.shots, 'shot', ',.10g')}, method {fixed.method}"
    if fixed.applied:
        facts += f", {fixed.share:.0%} of the answer is mitigated"
    if fixed.confidence is not None:
        facts += "; " if fixed.applied else "; the rejected answer is "
        facts += f"nearer to the ideal than the counts with probability {fixed.confidence:.2f}"
    shown = {"raw": fixed.raw} | ({"mitigated": fixed.distribution} if fixed.applied else {})
    table = _table(list(fixed.distribution.top(ROWS)), shown, tuple(shown))
    verdict = "Mitigated" if fixed.applied else "Left as measured"
    return _frame(verdict, reason, f'<div style="opacity:.7">{escape(facts)}</div>{table}')


def show_run(run: Any) -> str:
    """HTML of the origin of counts, and of the most frequent bitstrings; implements `Run._repr_html_`."""
    profile = run.profile
    facts = {
        "circuit": f"{profile.name}: {plural(len(profile.active), 'qubit')}, "
        f"{plural(profile.n_two_qubit, 'two-qubit gate')}, {plural(profile.n_bits, 'bit')}",
        "machine": f"{run.backend} ({run.method}), calibration of {run.calibration.date or 'an unknown day'}",
        "shots": f"{run.shots:,.10g} in {plural(len(run.twirl_counts), 'twirl')}",
        "reference": "none" if run.reference is None else f"measured {run.reference.time}",
        **({"notes": "; ".join(run.notes)} if run.notes else {}),
    }
    lines = "".join(
        f'<tr><td style="{_CELL};text-align:left;opacity:.7">{name}</td>'
        f'<td style="{_CELL};text-align:left">{escape(text)}</td></tr>'
        for name, text in facts.items()
    )
    counts = _table(list(run.counts.top(ROWS)), {"raw": run.counts}, ("raw",))
    return _frame("Run", "", f'<table style="border-collapse:collapse">{lines}</table>{counts}')


def _frame(title: str, head: str, body: str) -> str:
    above = f"<b>{escape(title)}</b>" + (f" · {escape(head)}" if head else "")
    return f'<div style="font-size:90%;max-width:48em"><div>{above}</div>{body}</div>'


def _table(strings: Sequence[str], shown: Mapping[str, Distribution], names: Sequence[str]) -> str:
    """HTML table of some bitstrings with probabilities and bars, and of the sum of all others."""
    columns = {name: {string: one.get(string, 0.0) for string in strings} for name, one in shown.items()}
    top = max((value for column in columns.values() for value in column.values()), default=0.0) or 1.0
    head = f'<th style="{_CELL};text-align:left">bitstring</th>'
    head += "".join(
        f'<th style="{_NUMBER};border-bottom:3px solid {_COLOURS[role]}">{name}</th>'
        for role, name in zip(shown, names, strict=True)
    )
    head += f'<th style="{_CELL}"></th>'
    lines = []
    for string, label in zip(strings, short_labels(strings, _WHOLE), strict=True):
        values = {name: column[string] for name, column in columns.items()}
        cells = "".join(f'<td style="{_NUMBER}">{value:.4f}</td>' for value in values.values())
        bars = "".join(_bar(value / top, _COLOURS[name]) for name, value in values.items())
        name = f'<td style="{_CELL};text-align:left" title="{string}"><code>{label}</code></td>'
        lines.append(f'<tr>{name}{cells}<td style="{_CELL};width:12em">{bars}</td></tr>')
    if any(one.n_outcomes > sum(string in one for string in strings) for one in shown.values()):
        others = [max(0.0, 1 - sum(column.values())) for column in columns.values()]
        cells = "".join(f'<td style="{_NUMBER}">{value:.4f}</td>' for value in others)
        name = f'<td style="{_CELL};text-align:left">all others</td>'
        lines.append(f'<tr style="opacity:.7">{name}{cells}<td style="{_CELL}"></td></tr>')
    return f'<table style="border-collapse:collapse"><tr>{head}</tr>{"".join(lines)}</table>'


def _bar(share: float, colour: str) -> str:
    return f'<div style="height:6px;margin:1px 0;width:{100 * share:.1f}%;background:{colour}"></div>'
