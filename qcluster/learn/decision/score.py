"""Scores of a gate on a table: gain, harm, and how well its confidence is calibrated."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.decision import candidates, circuit_candidates
from qcluster.core.decision.candidates import RAW
from qcluster.core.decision.decide import LEAST_CONFIDENCE, LEAST_SHARE, unchanged
from qcluster.core.decision.gate import Gate, shipped
from qcluster.learn.decision.circuits import HARDWARE, MEASURED
from qcluster.learn.decision.table import Table
from qcluster.learn.decision.train import fidelity, inputs

HARM = 0.02
"""Loss of fidelity above which an output counts as harmed."""


RECORDED = 0.45
"""Share of the total weight of recorded sets in the training of the gates for counts."""
_SHARP = 0.06
"""Share of the total weight of few strings under equal flip rates, however many cases there are. With a larger share,
every peak on a flat floor would be taken for one string."""
_GHZ = 4.0
"""Factor on the weight of GHZ states: on small registers they look like any other two strings, and users often run
them."""
_UNLIKE_STRINGS = 2.0
"""Factor for strings near each other, and for other wide outputs that are not a few strings (small angles, smooth
outputs): with half of it, the worst of the wide ones lose half as much again, or twice as much."""
_CLOUDS = 0.5
"""Factor for wide strings in clouds of light ones: with 1, the gate is less sure of few strings under strong noise."""
_REDRAWN = 2.0
"""Factor for recorded circuits whose counts are drawn again (`circuits.redrawn`). They are real circuits at many
strengths of noise; training on them harms fewer unseen circuits than training on drawn outputs."""
_PUBLISHED = {"right": 7.0, "near": 3.0}
"""Factors for calibrations that are right or nearly right: users mostly have these, and a gate that distrusts every
calibration loses most on them."""
_OF_CIRCUITS = {"tails": 4.0, "smooth": 3.0, "clouds": 0.6}
"""Factors for families in a table of circuits: few strings with true tails, which a too pessimistic calibration
explains as noise, and smooth outputs of 12 to 16 bits, which look like one string. Both are rare, and no other cases
resemble them. Strings that light ones surround have as many cases as outputs of circuits themselves; with a factor of 1
less is gained on random programs, with 3 nothing is gained."""
_WIDE_CIRCUITS = 2.5
"""Factor for wide registers in a table of circuits."""
_HARDWARE = 5.0
"""Factor for counts from real machines (`circuits.HARDWARE`), relative to simulations of recorded circuits."""


class Score(NamedTuple):
    """Quality of a gate on a group of cases."""

    group: str
    """Name of the group."""
    cases: int
    """Number of cases."""
    raw: float
    """Mean fidelity of the counts."""
    answer: float
    """Mean fidelity of the answers."""
    harmed: float
    """Share of the cases that lose more than 0.02."""
    worst: float
    """Smallest gain; negative for a loss."""
    left: float
    """Share of the cases left unchanged."""
    best: float
    """Mean fidelity of the best candidate of each case: an upper bound for choosing a single one."""


def weigh(
    table: Table, gate: Gate | None = None, wide: Gate | None = None, expected: Floats | None = None
) -> tuple[Floats, Floats, Floats]:
    """Return, for every row, the fidelity of the weighted candidates, their weights, and the confidence.

    Args:
        table: the cases.
        gate: the gate that weighs them; the shipped ones by default, of which measured rates have one of their own.
        wide: the gate for more than 12 bits; the shipped one by default.
        expected: ``(r, 2)`` what users expect, see `inputs`.

    Raises:
        ValueError: a gate takes another number of features than the table has.
    """
    gram, described = table.gram.astype(np.float64), inputs(table, expected).astype(np.float64)
    weights, confidence = np.zeros(table.present.shape), np.zeros(len(table))
    beyond = wide_rows(table)
    of_runs = table.names == circuit_candidates.NAMES  # else a kind is the name of a machine
    measured = (table.kind == MEASURED) & ~beyond & of_runs
    for rows, given, options in (
        (~beyond & ~measured, gate, {}),
        (measured, gate, {"measured": True}),
        (beyond, wide, {"wide": True}),
    ):
        if not rows.any():
            continue
        chosen = given or shipped(table.names, **options)
        if described.shape[1] != len(chosen.mean):
            got = f"{len(chosen.mean)} and {described.shape[1]}"
            raise ValueError(f"gate and table must have equally many features; got {got}")
        weights[rows], confidence[rows] = chosen.weigh(described[rows], table.present[rows], gram[rows, :-1, :-1])
    return fidelity(weights, gram)[0], weights, confidence


def answers(
    table: Table, gate: Gate | None = None, wide: Gate | None = None, expected: Floats | None = None
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return, for every row, the fidelity of the decision's answer, its confidence, and whether it was applied.

    One rule of `decide_circuit` is left out, since tables do not hold what it needs: counts in which hardly any shot is
    without a fault are left as they are. So harm on circuits is slightly overstated.

    Raises:
        ValueError: see `weigh`.
    """
    reached, weights, confidence = weigh(table, gate, wide, expected)
    kept = weights[:, RAW]
    if table.names == candidates.NAMES:
        fixing = wide_rows(table) & (table.gram[:, RAW, candidates.FIXED] < 1)  # equal counts: 1 in single precision
        kept = kept + np.where(fixing, 0.0, weights[:, candidates.SMOOTH])
    else:
        answered = table.gram[:, RAW, circuit_candidates.ALONE] < 1
        kept = kept + np.where(answered, 0.0, weights[:, circuit_candidates.ALONE])
    applied = (confidence >= LEAST_CONFIDENCE) & (1 - kept >= LEAST_SHARE)
    blended = np.einsum("rc,rcd->rd", weights, table.gram[:, :-1, :-1].astype(np.float64))
    overlaps = blended[:, RAW] / np.sqrt((blended * weights).sum(axis=1))
    applied &= [not unchanged(*pair) for pair in zip(overlaps.tolist(), table.shots.tolist(), strict=True)]
    return np.where(applied, reached, raw(table)), confidence, applied


def wide_rows(table: Table) -> NDArray[np.bool_]:
    """Return which rows ``(r,)`` have more than `candidates.WIDEST` bits: these have gates of their own."""
    return np.asarray(table.n_bits > candidates.WIDEST)


def raw(table: Table) -> Floats:
    """Return the fidelity of the counts themselves, ``(r,)``."""
    return np.asarray(table.gram[:, RAW, -1].astype(np.float64) ** 2)


def scores(table: Table, gate: Gate | None = None, by: str = "group", wide: Gate | None = None) -> list[Score]:
    """Score gates (see `weigh`) on every group of cases, and on all cases together."""
    if by not in ("group", "kind", "n_bits"):
        raise ValueError(f"by must be group, kind or n_bits; got {by!r}")
    reached, _, applied = answers(table, gate, wide)
    before, best = raw(table), (table.gram[:, :-1, -1] ** 2).max(axis=1)
    labels = getattr(table, by)

    def score(name: str, rows: Any) -> Score:
        gain = reached[rows] - before[rows]
        means = before[rows].mean(), reached[rows].mean(), (gain < -HARM).mean(), gain.min()
        return Score(name, len(gain), *map(float, (*means, 1 - applied[rows].mean(), best[rows].mean())))

    return [score(str(name), labels == name) for name in np.unique(labels)] + [score("all", np.ones(len(table), bool))]


def as_sets(table: Table) -> NDArray[np.bool_]:
    """Return the mask ``(r,)`` of rows that share the weight of recorded sets: all records, and chains as one set.

    Chains are included since their faults spread as in real circuits, and few other drawn cases resemble them.
    """
    return np.asarray(~table.drawn | (table.group == "chains"))


def balanced(table: Table, recorded: float = RECORDED) -> Floats:
    """Return the weights of the rows, ``(r,)``.

    Recorded sets together have the share `recorded` of the weight, each in proportion to the root of its size; then the
    factors of this module are applied. With equal weights for all sets, one of four records would be learned by heart;
    with weights proportional to the size, a set of a thousand records from one machine would outweigh all others.
    `as_sets` lists the rows of sets.
    """
    drawn = ~as_sets(table)
    weight = np.where(drawn, (1 - recorded) / max(int(drawn.sum()), 1), 0.0)
    sets, sizes = np.unique(table.group[~drawn], return_counts=True)
    for name, size in zip(sets, sizes, strict=True):
        weight[table.group == name] = recorded / np.sqrt(sizes).sum() / np.sqrt(size)
    sharp = table.group == "sharp"
    if weight[sharp].any() and not sharp.all():
        weight[sharp] *= _SHARP * weight.sum() / weight[sharp].sum()
    weight[table.group == "ghz"] *= _GHZ
    weight[np.isin(table.group, ["near", "wide-smooth", "wide-near"])] *= _UNLIKE_STRINGS
    weight[table.group == "wide-clouds"] *= _CLOUDS
    weight[np.char.startswith(table.group, "redrawn-")] *= _REDRAWN
    if table.names == circuit_candidates.NAMES:
        for family, times in _OF_CIRCUITS.items():
            weight[table.group == family] *= times
        weight[np.char.startswith(table.group, "wide-")] *= _WIDE_CIRCUITS
        weight[np.isin(table.group, [f"records-{name}" for name in HARDWARE])] *= _HARDWARE
        for kind, times in _PUBLISHED.items():
            weight[table.kind == kind] *= times
    return weight if weight.any() else np.ones(len(table))
