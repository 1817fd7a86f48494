"""Search for strings under heavy noise: EM over soft strings, from many starts at once.

Where most shots are flipped somewhere, the strings that were sent are not the frequent ones, and greedy growth gets
stuck. Here every bit of every string is a probability, many starts run together as one matrix product, and bits are
rounded at the end.
"""

from dataclasses import dataclass

import numpy as np

from qcluster.core.bits import Bits
from qcluster.core.description import naming_cost
from qcluster.core.em import fit_all
from qcluster.core.likelihood import Floats, Indices, Model, Prior, Rows
from qcluster.core.moves import relocate

_SIZES = (2, 3, 4, 5, 6, 8)
"""Numbers of strings started with; superfluous ones merge when bits are rounded."""
_PAIRS = 100_000
"""Most pairs of a soft string and an observed one held at once: more, and the search is left out."""
_FILL = 4.0
"""Fewest shots a string, on average over all strings, for a search: fewer cannot tell one rate from many."""
_STRIDE = 1.8
"""Length of a step, in EM steps (Salakhutdinov & Roweis 2003): under heavy noise plain ones are slow."""
_FEW_ERRORS = np.array([0.01, 0.04, 0.93, 0.02])
"""Shares of the error regimes before the shots are seen: independent flips."""


@dataclass(frozen=True)
class _Soft:
    """Several starts, their k soft strings one under another."""

    ones: Floats
    """``(k, n)`` probability of each bit."""
    weights: Floats
    """``(k,)``, summing to 1 in each start."""
    sizes: Indices
    """``(m,)`` strings of each start."""


@dataclass(frozen=True)
class _Rounded:
    """The strings of one start, its bits rounded and equal strings merged."""

    start: int
    centroids: Bits
    weights: Floats
    length: float
    """Description length of the shots."""


def soft_search(
    rows: Rows, rate: float, prior: Prior, starts: int = 12, rounds: int = 150, kept: int = 8
) -> list[Model]:
    """Find mixtures of a few strings under heavy noise.

    Args:
        rows: the strings.
        rate: flips per bit expected.
        prior: belief about the rates.
        starts: starts for each number of strings.
        rounds: EM rounds of the soft strings; after a third of them, only the most promising starts go on.
        kept: results that are rounded and refitted, those of least description length first.

    Returns:
        Distinct mixtures; none where the shots fill too few strings, or the strings are too many for a quick search.
    """
    if rows.shots < _FILL * min(2.0**rows.n_bits, rows.shots):
        return []
    found: list[_Rounded] = []
    for some in _spread_out(rows, rate, starts):
        some, levels = _soften(rows, some, rounds // 3, rate)
        promising = _rounded(rows, some, levels)[: 3 * kept]
        some = _pick(some, [one.start for one in promising])
        found += _rounded(rows, *_soften(rows, some, rounds - rounds // 3, rate))
    odds = np.full((rows.n_bits, 2), rate / (1 - rate))
    distinct = {one.centroids.tobytes(): one for one in sorted(found, key=lambda one: -one.length)}
    likely = sorted(distinct.values(), key=lambda one: one.length)[:kept]
    models = [Model(one.centroids, one.weights, odds, _FEW_ERRORS, 0.01) for one in likely]
    return [relocate(rows, model, prior, 6) for model in fit_all(rows, models, prior, 12)]


def _spread_out(rows: Rows, rate: float, starts: int) -> list[_Soft]:
    """Spread starts evenly over the cube, without chance, in groups that a quick search can hold.

    Bits are fractional parts of multiples of square roots.
    """
    roots = np.sqrt(np.arange(2, 2 + rows.n_bits) + 0.5)
    groups: list[_Soft] = []
    spread: list[Floats] = []
    sizes: list[int] = []

    def close() -> None:
        if sizes:
            ones = rate + (1 - 2 * rate) * (0.25 + 0.5 * np.concatenate(spread))
            each = np.array(sizes)
            groups.append(_Soft(ones, np.repeat(1 / each, each), each))
            spread.clear()
            sizes.clear()

    for k in _SIZES:
        many = min(starts, _PAIRS // (k * len(rows.weights)))
        if many < 2:
            break
        if (sum(sizes) + many * k) * len(rows.weights) > _PAIRS:
            close()
        spread.append(np.mod(np.arange(1, many * k + 1)[:, None] * roots, 1.0))
        sizes += [k] * many
    close()
    return groups


def _soften(rows: Rows, soft: _Soft, rounds: int, rate: float) -> tuple[_Soft, Floats]:
    """Run EM with bits in [rate, 1 - rate]; give the strings, and the log-likelihood of each start."""
    ones, weights, sizes = soft.ones, soft.weights, soft.sizes
    owner = np.repeat(np.arange(len(sizes)), sizes)
    # Its products sum over the strings of a start.
    members = (owner == np.arange(len(sizes))[:, None]).astype(np.float32)
    total = np.ones((len(sizes), len(rows.weights)), dtype=np.float32)
    for _ in range(rounds):
        slopes = np.log(ones / (1 - ones)).astype(np.float32)
        joint = slopes @ rows.columns
        joint += (np.log1p(-ones).sum(axis=1) + np.log(weights) + rows.unit).astype(np.float32)[:, None]
        np.exp(joint, out=joint)
        total = members @ joint
        joint *= (rows.shares / total)[owner]
        mass = joint.sum(axis=1).astype(np.float64)
        read = (joint @ rows.columns.T).astype(np.float64)
        ones = ones + _STRIDE * ((read + 5e-5) / (mass[:, None] + 1e-4) - ones)
        ones = np.minimum(np.maximum(ones, rate), 1 - rate)
        weights = np.maximum(mass, 1e-4)
        weights /= np.bincount(owner, weights)[owner]
    level = (np.log(total) @ rows.shares).astype(np.float64) - rows.unit
    return _Soft(ones, weights, sizes), level * rows.shots


def _pick(soft: _Soft, starts: list[int]) -> _Soft:
    """Keep some of the starts, in this order."""
    first = np.cumsum(soft.sizes) - soft.sizes
    held = np.concatenate([np.arange(first[m], first[m] + soft.sizes[m]) for m in starts])
    return _Soft(soft.ones[held], soft.weights[held], soft.sizes[starts])


def _rounded(rows: Rows, soft: _Soft, levels: Floats) -> list[_Rounded]:
    """Round bits and merge equal strings; of starts that agree, keep the likeliest. The shortest comes first."""
    strings, which = np.unique(soft.ones > 0.5, axis=0, return_inverse=True)
    ends = np.cumsum(soft.sizes)
    owned = np.split(which.ravel(), ends[:-1])
    best: dict[bytes, int] = {}
    for start, own in enumerate(owned):
        key = np.unique(own).tobytes()
        if key not in best or levels[start] > levels[best[key]]:
            best[key] = start
    found = []
    for key, start in best.items():
        own = np.frombuffer(key, dtype=which.dtype)
        held = soft.weights[ends[start] - soft.sizes[start] : ends[start]]
        weights = np.bincount(owned[start], held, len(strings))[own].astype(np.float64)
        heaviest = np.argsort(-weights, kind="stable")
        length = naming_cost(strings[own[heaviest]], rows.shots) - float(levels[start])
        found.append(_Rounded(start, strings[own], weights, length))
    return sorted(found, key=lambda one: one.length)
