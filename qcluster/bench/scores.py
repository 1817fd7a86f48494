"""Score a method on a sample: one row of figures."""

import time
from functools import lru_cache

import numpy as np

from qcluster.bench.methods import NotApplicable, find
from qcluster.bench.sample import Sample
from qcluster.core.counts.bits import format_bitstrings, index_bits, parse_bitstrings, unpack
from qcluster.core.counts.distribution import Distribution, align
from qcluster.core.counts.metrics import entropy, hellinger_fidelity, success_probability, total_variation

_SAMPLE_COLUMNS = ("n_bits", "shots", "ideal_entropy")
_ANSWER_COLUMNS = (
    *("applied", "hellinger_fidelity", "total_variation", "success_probability", "rank", "correct"),
    *("expectation_error", "approximation_ratio", "seconds"),
)
FIGURES = (*_SAMPLE_COLUMNS, *_ANSWER_COLUMNS)
"""Columns of a score that hold numbers, or nothing; the others hold text."""
SCORE_COLUMNS = ("task", "case", "family", "machine", *_SAMPLE_COLUMNS, "method", "status", *_ANSWER_COLUMNS, "note")
"""Columns of a score. All but `seconds` depend on the sample and the method alone."""

BAR_COLUMNS = ("task", "method", "bars")
"""Columns of the drawings: ``bars`` is ``string:ideal:raw:mitigated`` for the most likely strings, separated by blanks.
"""

_BARS = 16
"""Largest number of strings drawn."""
_TIED = 1e-6
"""Relative difference up to which two probabilities of a result count as equal: mthree has single precision."""
_ENUMERATED = 22
"""Largest number of bits for which the extremes of an Ising cost are found by enumerating all strings."""


def score_methods(
    sample: Sample, methods: tuple[str, ...], *, drawn: bool = True
) -> tuple[tuple[dict[str, object], ...], tuple[dict[str, object], ...]]:
    """Apply methods to one sample.

    Returns:
        Rows of scores, one for each method, and rows of bars, one for each method with a result (none unless `drawn`).
    """
    rows: list[dict[str, object]] = []
    bars: list[dict[str, object]] = []
    for method in dict.fromkeys(methods):
        row, result = score(sample, method)
        rows.append(row)
        if drawn and result is not None:
            bars.append({"task": sample.identity, "method": method, "bars": _bars(result, sample)})
    return tuple(rows), tuple(bars)


def _bars(result: Distribution, sample: Sample) -> str:
    """Format the most likely strings of the ideal, the counts and the result, with all three probabilities."""
    parts = [part for part in (sample.ideal, sample.counts, result) if part is not None and part.n_outcomes]
    wanted = {text: None for part in parts for text in part.top(_BARS)}
    columns = [_lookup(part, list(wanted)) for part in (sample.ideal, sample.counts, result)]
    ranked = sorted(zip(wanted, *columns, strict=True), key=lambda bar: -max(value for value in bar[1:]))
    return " ".join(f"{text}:{ideal:.4g}:{raw:.4g}:{fixed:.4g}" for text, ideal, raw, fixed in ranked[:_BARS])


def _lookup(distribution: Distribution | None, texts: list[str]) -> list[float]:
    """Return the probabilities of some strings, zero where they are absent."""
    if distribution is None or not distribution.n_outcomes or not texts:
        return [0.0] * len(texts)
    if distribution.n_outcomes <= _BARS:
        shares = distribution.to_probs()
        return [shares.get(text, 0.0) for text in texts]
    wanted = Distribution(parse_bitstrings(texts), np.ones(len(texts)))
    words, p, asked = align(distribution, wanted)
    bits = unpack(words[asked > 0], distribution.n_bits)
    by_text = dict(zip(format_bitstrings(bits), p[asked > 0].tolist(), strict=True))
    return [by_text[text] for text in texts]


def score(sample: Sample, method: str) -> tuple[dict[str, object], Distribution | None]:
    """Apply a method and compare its result with the ideal output; return the row and the result.

    Columns: Hellinger fidelity; total variation distance; probability on ideal strings; `rank` of the most likely
    ideal string in the result (1 is best; among several equally likely ideal strings the best rank counts, and equally
    likely strings of the result share one); `correct`, 1 if the rank is 1; `expectation_error`, the mean over bits of
    ``|<Z_i> - <Z_i>_ideal|``; `approximation_ratio` of a QAOA cost, 1 at the minimum and 0 at the maximum; `seconds`
    of processor time, which does not depend on the load of the machine. Numbers have seven digits. A method that lacks
    what it needs is `skipped`, one that raises is `failed`; neither stops a campaign.
    """
    row: dict[str, object] = {
        "task": sample.identity,
        "case": sample.case,
        "family": sample.family,
        "machine": sample.machine,
        "n_bits": sample.n_bits,
        "shots": sample.counts.shots,
        "ideal_entropy": None if sample.ideal is None else entropy(sample.ideal, normalised=True),
        "method": method,
    }
    try:
        apply = find(method)
        start = time.process_time()
        answer = apply(sample)
    except NotApplicable as missing:
        return row | {"status": "skipped", "note": str(missing)}, None
    except (Exception, SystemExit) as error:  # a method under test may fail in any way, which the row reports
        return row | {"status": "failed", "note": f"{type(error).__name__}: {error}".replace("\n", " ")}, None
    row |= {"status": "ok", "seconds": time.process_time() - start}
    if isinstance(answer, Distribution):
        result, row["applied"] = answer, int(method != "identity")
    else:
        result, row["applied"], row["note"] = answer.distribution, int(answer.applied), answer.reason
    row |= compare(result, sample)
    return {key: float(f"{value:.7g}") if isinstance(value, float) else value for key, value in row.items()}, result


def compare(result: Distribution, sample: Sample) -> dict[str, object]:
    """Compute the metrics of a result; without a known ideal, only those that do not need it."""
    row: dict[str, object] = {}
    if not result.n_outcomes:
        return row
    if sample.edges:
        row["approximation_ratio"] = approximation_ratio(result, sample.edges)
    if sample.ideal is None:
        return row
    _, result_probs, ideal_probs = align(result, sample.ideal)
    likeliest = ideal_probs >= ideal_probs.max() * (1 - 1e-9)
    rank = int((result_probs > result_probs[likeliest].max() * (1 + _TIED)).sum()) + 1
    row |= {
        "hellinger_fidelity": hellinger_fidelity(result, sample.ideal),
        "total_variation": total_variation(result, sample.ideal),
        "success_probability": success_probability(result, sample.ideal),
        "rank": rank,
        "correct": int(rank == 1),
        "expectation_error": float(np.abs(_z_means(result) - _z_means(sample.ideal)).mean()) if sample.n_bits else 0.0,
    }
    return row


def _z_means(distribution: Distribution) -> np.ndarray:
    return 1.0 - 2.0 * (distribution.probabilities @ distribution.bits)


def approximation_ratio(result: Distribution, edges: tuple[tuple[int, int, float], ...]) -> float | None:
    """Return ``(worst - <cost>) / (worst - best)`` of an Ising cost; None if it has too many bits to enumerate.

    Example:
        >>> approximation_ratio(Distribution.of({"01": 3, "00": 1}), ((0, 1, 1.0),))
        0.75
    """
    if result.n_bits > _ENUMERATED:
        return None
    best, worst = _extremes(result.n_bits, edges)
    mean = float(result.probabilities @ _cost(result.bits, edges))
    return (worst - mean) / (worst - best) if worst > best else 1.0


def _cost(bits: np.ndarray, edges: tuple[tuple[int, int, float], ...]) -> np.ndarray:
    signs = 1.0 - 2.0 * bits
    return np.asarray(sum((w * signs[:, i] * signs[:, j] for i, j, w in edges), np.zeros(len(bits))))


@lru_cache(maxsize=256)
def _extremes(n_bits: int, edges: tuple[tuple[int, int, float], ...]) -> tuple[float, float]:
    best, worst = np.inf, -np.inf
    step = 1 << min(n_bits, 16)
    for start in range(0, 1 << n_bits, step):
        values = np.arange(start, start + step)
        cost = _cost(index_bits(values, n_bits), edges)
        best, worst = min(best, float(cost.min())), max(worst, float(cost.max()))
    return best, worst
