"""Statistics of scores: every method against the raw counts of the same shots."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qcluster.core.distribution import Floats

RAW = "identity"
"""The method that all others are compared with."""
TIE = 0.005
"""Changes of Hellinger fidelity up to this size count as ties."""
HARM = 0.02
"""Losses of Hellinger fidelity beyond this size count as harm."""
LOW_ENTROPY = 0.6
"""Normalised ideal entropy up to which an output counts as low in entropy (the cut of arXiv:2504.10801)."""

_FLOOR = 1e-6
"""Fidelities are raised to this before factors are formed, so that none is infinite."""
_RESAMPLES = 2000


@dataclass(frozen=True)
class Summary:
    """How one method did on one group of samples, in Hellinger fidelity (HF)."""

    group: str
    """What the samples have in common, ``family=bv``."""
    base: str
    """The method that this one is compared with: called raw below, whatever it is."""
    method: str
    """Name of the method."""
    n: int
    """Samples on which the method and the raw counts were scored."""
    mean: float
    """Mean HF."""
    median: float
    """Median HF."""
    gain: float
    """Mean of HF less raw HF on the same sample."""
    gain_low: float
    """Lower end of the 95 % bootstrap interval of `gain`."""
    gain_high: float
    """Upper end."""
    factor: float
    """Geometric mean of HF over raw HF."""
    median_factor: float
    """Median of HF over raw HF."""
    wins: int
    """Samples with a gain beyond a tie (.005)."""
    ties: int
    """Samples within a tie."""
    losses: int
    """Samples with a loss beyond a tie."""
    harm: float
    """Share of samples that lost more than .02."""
    worst: float
    """Largest loss, as a negative number; 0 when none lost."""
    correct: float
    """Share of samples whose likeliest string is a likeliest ideal string."""
    mean_factor: float
    """Mean HF over mean raw HF, as published tables often give it."""
    seconds: float
    """Median processor time of a call."""
    skipped: int
    """Samples on which the method lacked what it needs, or failed."""


def summarise(rows: Sequence[Mapping[str, str]], group: str, *, base: str = RAW, seed: int = 0) -> list[Summary]:
    """Summarise the scores of one group.

    Args:
        rows: scores as read from ``scores.csv``; tasks without a score of the base are left out.
        group: what to call the group.
        base: the method that all are compared with on the same sample, by default the raw counts.
        seed: of the bootstrap.

    Returns:
        One summary per method, best mean gain first; the base included.
    """
    raw = {row["task"]: float(row["hellinger_fidelity"]) for row in rows if row["method"] == base and _scored(row)}
    by_method: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        if row["task"] in raw:
            by_method.setdefault(row["method"], []).append(row)
    found = [_summary(group, base, method, part, raw, seed) for method, part in by_method.items()]
    return sorted(found, key=lambda summary: (-np.nan_to_num(summary.gain, nan=-2.0), summary.method))


def _summary(
    group: str, base: str, method: str, rows: Sequence[Mapping[str, str]], raw: Mapping[str, float], seed: int
) -> Summary:
    scored = [row for row in rows if _scored(row)]
    skipped = len(rows) - len(scored)
    if not scored:
        return _unscored(group, base, method, skipped)
    fidelity = np.array([float(row["hellinger_fidelity"]) for row in scored])
    before = np.array([raw[row["task"]] for row in scored])
    gain = fidelity - before
    low, high = bootstrap_mean(gain, seed=seed)
    factors = np.maximum(fidelity, _FLOOR) / np.maximum(before, _FLOOR)
    return Summary(
        group=group,
        base=base,
        method=method,
        n=len(scored),
        mean=float(fidelity.mean()),
        median=float(np.median(fidelity)),
        gain=float(gain.mean()),
        gain_low=low,
        gain_high=high,
        factor=float(np.exp(np.log(factors).mean())),
        median_factor=float(np.median(factors)),
        wins=int((gain > TIE).sum()),
        ties=int((np.abs(gain) <= TIE).sum()),
        losses=int((gain < -TIE).sum()),
        harm=float((gain < -HARM).mean()),
        worst=float(min(0.0, gain.min())),
        correct=float(np.mean([row["correct"] == "1" for row in scored])),
        mean_factor=float(fidelity.mean() / max(before.mean(), _FLOOR)),
        seconds=float(np.median([float(row["seconds"]) for row in scored])),
        skipped=skipped,
    )


def _unscored(group: str, base: str, method: str, skipped: int) -> Summary:
    numbers = dict.fromkeys(
        ("mean", "median", "gain", "gain_low", "gain_high", "factor", "median_factor"), float("nan")
    )
    more = dict.fromkeys(("harm", "worst", "correct", "mean_factor", "seconds"), float("nan"))
    return Summary(
        group=group, base=base, method=method, n=0, wins=0, ties=0, losses=0, skipped=skipped, **numbers, **more
    )


def _scored(row: Mapping[str, str]) -> bool:
    return row["status"] == "ok" and row["hellinger_fidelity"] != ""


def bootstrap_mean(values: Floats, *, seed: int | np.random.Generator | None = 0) -> tuple[float, float]:
    """Give the 95 % percentile bootstrap interval of a mean.

    Example:
        >>> low, high = bootstrap_mean(np.array([1.0, 2.0, 3.0, 4.0]), seed=1)
        >>> low < 2.5 < high
        True
    """
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(values), size=(_RESAMPLES, len(values)))
    low, high = np.quantile(values[picks].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


GROUPINGS: dict[str, Callable[[Mapping[str, str]], str]] = {
    "family": lambda row: row["family"],
    "width": lambda row: _width(int(row["n_bits"])),
    "machine": lambda row: row["machine"],
    "entropy": lambda row: _entropy(row["ideal_entropy"]),
}
"""Ways to group samples."""


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
    """Split scores by a grouping, groups in order of name (numbers by value)."""
    groups: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        groups.setdefault(GROUPINGS[grouping](row), []).append(row)
    return dict(sorted(groups.items(), key=lambda item: _place(item[0])))


def _place(name: str) -> list[tuple[bool, int, str]]:
    """Sort words as words and numbers as numbers."""
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in name.split()]
