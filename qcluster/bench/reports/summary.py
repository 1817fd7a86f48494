"""Statistics of scores: every method compared with the raw counts of the same shots."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from math import isfinite, nan

import numpy as np

from qcluster.bench.reports.intervals import FEWEST, mean_intervals, share_interval

RAW = "identity"
"""The method that all others are compared with."""
TIE = 0.005
"""Changes of Hellinger fidelity up to this size count as ties."""
HARM = 0.02
"""Losses of Hellinger fidelity beyond this size count as harm."""
LOW_ENTROPY = 0.6
"""Largest normalised entropy of an ideal output of low entropy (the limit of arXiv:2504.10801)."""

_DIGITS = 12
"""Decimals to which differences of scores are rounded. Scores have seven digits; the rest is floating-point error."""
_FLOOR = 1e-6
"""Fidelities below this are raised to it before factors are computed, so that none is infinite."""


@dataclass(frozen=True)
class Summary:
    """Results of one method on one group of samples, in Hellinger fidelity (HF).

    Fields that end in ``low`` and ``high`` are the ends of 95 % intervals over circuits, see
    `qcluster.bench.reports.intervals`. They are NaN if there are too few circuits, or a method is compared with itself.
    """

    group: str
    """What the samples have in common, such as ``family=bv``."""
    base: str
    """The method that this one is compared with; called raw below, whichever it is."""
    method: str
    """Name of the method."""
    n: int
    """Number of samples on which both the method and the base were scored."""
    circuits: int
    """Number of circuits among these samples; repeats and other machines are not counted again."""
    mean: float
    """Mean HF."""
    mean_low: float
    """Lower end."""
    mean_high: float
    """Upper end."""
    median: float
    """Median HF."""
    gain: float
    """Mean of HF minus raw HF of the same sample."""
    gain_low: float
    """Lower end."""
    gain_high: float
    """Upper end."""
    factor: float
    """Geometric mean of HF divided by raw HF."""
    factor_low: float
    """Lower end."""
    factor_high: float
    """Upper end."""
    median_factor: float
    """Median of HF divided by raw HF."""
    wins: int
    """Samples with a gain above .005."""
    ties: int
    """Samples with a gain or loss of at most .005."""
    losses: int
    """Samples with a loss above .005."""
    harm: float
    """Share of samples that lost more than .02."""
    harm_low: float
    """Lower end."""
    harm_high: float
    """Upper end."""
    worst: float
    """Largest loss, as a negative number; 0 if there is no loss."""
    correct: float
    """Share of samples for which a most likely string of the result is a most likely ideal string."""
    mean_factor: float
    """Mean HF divided by mean raw HF, as in many published tables."""
    seconds: float
    """Median processor time of a call."""
    skipped: int
    """Samples for which the method lacked what it needs."""
    failed: int
    """Samples on which the method raised an error, or gave a result without a fidelity."""


def summarise(rows: Sequence[Mapping[str, str]], group: str, *, base: str = RAW) -> list[Summary]:
    """Summarise the scores of one group.

    Args:
        rows: scores as read from ``scores.csv``; tasks without a score of the base are left out.
        group: name of the group.
        base: the method to compare with on the same sample; by default the raw counts.

    Returns:
        One summary for each method, including the base, sorted by mean gain from best to worst.
    """
    raw = {row["task"]: float(row["hellinger_fidelity"]) for row in rows if row["method"] == base and _scored(row)}
    by_method: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        if row["task"] in raw:
            by_method.setdefault(row["method"], []).append(row)
    summaries = [_summary(group, base, method, part, raw) for method, part in by_method.items()]
    return sorted(summaries, key=lambda summary: (-np.nan_to_num(summary.gain, nan=-2.0), summary.method))


def _summary(
    group: str, base: str, method: str, rows: Sequence[Mapping[str, str]], raw: Mapping[str, float]
) -> Summary:
    scored = [row for row in rows if _scored(row)]
    skipped = sum(row["status"] == "skipped" for row in rows)
    failed = len(rows) - len(scored) - skipped
    if not scored:
        return _unscored(group, base, method, skipped, failed)
    fidelity = np.array([float(row["hellinger_fidelity"]) for row in scored])
    before = np.array([raw[row["task"]] for row in scored])
    gain = np.round(fidelity - before, _DIGITS)  # .88 - .9 is a loss of .02, not of 2e-17 more
    harmed = gain < -HARM
    factors = np.maximum(fidelity, _FLOOR) / np.maximum(before, _FLOOR)
    circuits = [row["case"] for row in scored]
    ends = mean_intervals(np.stack([fidelity, gain, np.log(factors)], axis=1), circuits)
    harm_ends = share_interval(harmed, circuits)
    if method == base:
        ends[1:], harm_ends = nan, (nan, nan)
    return Summary(
        group=group,
        base=base,
        method=method,
        n=len(scored),
        circuits=len(set(circuits)),
        mean=float(fidelity.mean()),
        mean_low=float(ends[0, 0]),
        mean_high=float(ends[0, 1]),
        median=float(np.median(fidelity)),
        gain=float(gain.mean()),
        gain_low=float(ends[1, 0]),
        gain_high=float(ends[1, 1]),
        factor=float(np.exp(np.log(factors).mean())),
        factor_low=float(np.exp(ends[2, 0])),
        factor_high=float(np.exp(ends[2, 1])),
        median_factor=float(np.median(factors)),
        wins=int((gain > TIE).sum()),
        ties=int((np.abs(gain) <= TIE).sum()),
        losses=int((gain < -TIE).sum()),
        harm=float(harmed.mean()),
        harm_low=harm_ends[0],
        harm_high=harm_ends[1],
        worst=float(min(0.0, gain.min())),
        correct=float(np.mean([row["correct"] == "1" for row in scored])),
        mean_factor=float(fidelity.mean() / max(before.mean(), _FLOOR)),
        seconds=float(np.median([float(row["seconds"]) for row in scored])),
        skipped=skipped,
        failed=failed,
    )


def _unscored(group: str, base: str, method: str, skipped: int, failed: int) -> Summary:
    numbers = {field.name: nan for field in fields(Summary) if field.type is float}
    counts = {field.name: 0 for field in fields(Summary) if field.type is int} | {"skipped": skipped, "failed": failed}
    return Summary(group=group, base=base, method=method, **(counts | numbers))  # type: ignore[arg-type]


def few_circuits(summaries: Sequence[Summary]) -> str:
    """Return a note if intervals are missing, otherwise an empty text."""
    missing_intervals = any(0 < summary.circuits < FEWEST for summary in summaries)
    return f"Means of fewer than {FEWEST} circuits have no interval." if missing_intervals else ""


def caveats(summaries: Sequence[Summary]) -> str:
    """Return notes on a table of summaries: methods that lack scores of some samples, and missing intervals."""
    total = max((summary.n for summary in summaries if summary.method == summary.base), default=0)
    known = {summary.method: summary.n + summary.skipped + summary.failed for summary in summaries}
    partial = ", ".join(f"{method} has {n:,}" for method, n in known.items() if n < total)
    unscored = f"Of {total:,} samples, {partial}: score the others before comparing their means." if partial else ""
    return " ".join(filter(None, [unscored, few_circuits(summaries)]))


def _scored(row: Mapping[str, str]) -> bool:
    return row["status"] == "ok" and isfinite(float(row["hellinger_fidelity"] or nan))


GROUPINGS: dict[str, Callable[[Mapping[str, str]], str]] = {
    "family": lambda row: row["family"],
    "width": lambda row: _width(int(row["n_bits"])),
    "machine": lambda row: row["machine"],
    "entropy": lambda row: _entropy(row["ideal_entropy"]),
}
"""Ways to group samples: functions of a row of scores."""


def _width(n_bits: int) -> str:
    for top in (4, 8, 12, 20, 40):
        if n_bits <= top:
            return f"up to {top} bits"
    return "over 40 bits"


def _entropy(text: str) -> str:
    if not text:
        return "unknown"
    return f"low (H/n <= {LOW_ENTROPY})" if float(text) <= LOW_ENTROPY else f"high (H/n > {LOW_ENTROPY})"


def group_rows(rows: Iterable[Mapping[str, str]], grouping: str) -> dict[str, list[Mapping[str, str]]]:
    """Split scores by a grouping; groups are sorted by name, and numbers in names by value."""
    groups: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        groups.setdefault(GROUPINGS[grouping](row), []).append(row)
    return dict(sorted(groups.items(), key=lambda item: _sort_key(item[0])))


def _sort_key(name: str) -> list[tuple[bool, int, str]]:
    """Return a key that sorts words as text and numbers by value."""
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in name.split()]
