"""Judge a method on a sample: one row of numbers."""

import time
from functools import lru_cache

import numpy as np

from qcluster.bench.methods import NotApplicable, find
from qcluster.bench.sample import Sample
from qcluster.core.counts.bits import format_bitstrings, index_bits, parse_bitstrings, unpack
from qcluster.core.counts.distribution import Distribution, align
from qcluster.core.counts.metrics import entropy, hellinger_fidelity, success_probability, total_variation

_OF_SAMPLE = ("n_bits", "shots", "ideal_entropy")
_OF_ANSWER = (
    *("applied", "hellinger_fidelity", "total_variation", "success_probability", "rank", "correct"),
    *("expectation_error", "approximation_ratio", "seconds"),
)
FIGURES = (*_OF_SAMPLE, *_OF_ANSWER)
"""Columns of a score that hold numbers, or nothing; the others hold text."""
SCORE_COLUMNS = ("task", "case", "family", "machine", *_OF_SAMPLE, "method", "status", *_OF_ANSWER, "note")
"""Columns of a score. All but `seconds` follow from the sample and the method alone."""

BAR_COLUMNS = ("task", "method", "bars")
"""Columns of the drawings: ``bars`` is ``string:ideal:raw:mitigated`` for the likeliest strings, blank between."""

_BARS = 16
"""Strings drawn at most."""
_ENUMERATED = 22
"""Widest Ising cost whose extremes are found by trying all strings."""


def judge(
    sample: Sample, methods: tuple[str, ...], *, drawn: bool = True
) -> tuple[tuple[dict[str, object], ...], tuple[dict[str, object], ...]]:
    """Apply methods to one sample.

    Returns:
        Rows of scores, one a method, and rows of bars, one for each method that gave a result (none unless `drawn`).
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
    """Write the likeliest strings of the ideal, the counts and the result, with all three probabilities."""
    columns = [part for part in (sample.ideal, sample.counts, result) if part is not None and part.n_outcomes]
    wanted = {text: None for part in columns for text in part.top(_BARS)}
    tables = [_lookup(part, list(wanted)) for part in (sample.ideal, sample.counts, result)]
    ranked = sorted(zip(wanted, *tables, strict=True), key=lambda bar: -max(value for value in bar[1:]))
    return " ".join(f"{text}:{ideal:.4g}:{raw:.4g}:{fixed:.4g}" for text, ideal, raw, fixed in ranked[:_BARS])


def _lookup(distribution: Distribution | None, texts: list[str]) -> list[float]:
    """Give the probability of some strings, zero where they are absent."""
    if distribution is None or not distribution.n_outcomes or not texts:
        return [0.0] * len(texts)
    if distribution.n_outcomes <= _BARS:
        shares = distribution.to_probs()
        return [shares.get(text, 0.0) for text in texts]
    wanted = Distribution(parse_bitstrings(texts), np.ones(len(texts)))
    words, p, asked = align(distribution, wanted)
    bits = unpack(words[asked > 0], distribution.n_bits)
    found = dict(zip(format_bitstrings(bits), p[asked > 0].tolist(), strict=True))
    return [found[text] for text in texts]


def score(sample: Sample, method: str) -> tuple[dict[str, object], Distribution | None]:
    """Apply a method and compare its result with the ideal output; gives the row and the result.

    Columns: Hellinger fidelity; total variation distance; probability on ideal strings; `rank` of the likeliest
    ideal string in the result (1 is best; of several equally likely ones the best placed counts); `correct`, 1 when
    the result's likeliest string is one of the ideal's likeliest; `expectation_error`, the mean over bits of
    ``|<Z_i> - <Z_i>_ideal|``; `approximation_ratio` of a QAOA cost, 1 at the minimum and 0 at the maximum; `seconds`
    of processor time, which a busy machine does not stretch. Numbers keep seven digits. A method that lacks what it
    needs is `skipped`, one that raises is `failed`; neither stops a campaign.
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
    start = time.process_time()
    try:
        answer = find(method)(sample)
    except NotApplicable as missing:
        return row | {"status": "skipped", "note": str(missing)}, None
    except Exception as error:  # a method under test may fail in any way; the row says how
        return row | {"status": "failed", "note": f"{type(error).__name__}: {error}".replace("\n", " ")}, None
    row |= {"status": "ok", "seconds": time.process_time() - start}
    if isinstance(answer, Distribution):
        result, row["applied"] = answer, int(method != "identity")
    else:
        result, row["applied"], row["note"] = answer.distribution, int(answer.applied), answer.reason
    row |= compare(result, sample)
    return {key: float(f"{value:.7g}") if isinstance(value, float) else value for key, value in row.items()}, result


def compare(result: Distribution, sample: Sample) -> dict[str, object]:
    """Compute the metrics of a result; without a known ideal only those that need none."""
    row: dict[str, object] = {}
    if sample.edges:
        row["approximation_ratio"] = approximation_ratio(result, sample.edges)
    if sample.ideal is None or not result.n_outcomes:
        return row
    _, found, wanted = align(result, sample.ideal)
    likeliest = wanted >= wanted.max() * (1 - 1e-9)
    row |= {
        "hellinger_fidelity": hellinger_fidelity(result, sample.ideal),
        "total_variation": total_variation(result, sample.ideal),
        "success_probability": success_probability(result, sample.ideal),
        "rank": int((found > found[likeliest].max()).sum()) + 1,
        "correct": int(found[likeliest].max() == found.max()),
        "expectation_error": float(np.abs(_means(result) - _means(sample.ideal)).mean()) if sample.n_bits else 0.0,
    }
    return row


def _means(distribution: Distribution) -> np.ndarray:
    return 1.0 - 2.0 * (distribution.probabilities @ distribution.bits)


def approximation_ratio(result: Distribution, edges: tuple[tuple[int, int, float], ...]) -> float | None:
    """Give ``(worst - <cost>) / (worst - best)`` of an Ising cost; None where it is too wide to enumerate.

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
