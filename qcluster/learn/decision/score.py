"""Scores of a gate on a table: gain, harm, and how true its confidence is."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.decision import candidates, circuit_candidates
from qcluster.core.decision.candidates import RAW
from qcluster.core.decision.decide import LEAST_CONFIDENCE, LEAST_SHARE
from qcluster.core.decision.gate import Gate, shipped
from qcluster.learn.decision.circuits import HARDWARE
from qcluster.learn.decision.table import Table
from qcluster.learn.decision.train import fidelity, inputs

HARM = 0.02
"""Loss of fidelity from which an output counts as harmed."""


RECORDED = 0.45
"""Share of the weight that recorded sets have for the decision about counts."""
_SHARP = 0.04
"""Share of the weight that few strings under even flips have, whatever their number. With too much, every peak on a
flat floor is taken for one string."""
_GHZ = 4.0
"""How many times more weight GHZ states have than they are drawn: on small machines they look like other states of two
strings, and are what people run."""
_WIDE_SMOOTH = 2.0
"""The same for wide outputs that are no few strings, small angles and smooth ones: with half of it, the worst of these
lose twice as much."""
_REDRAWN = 2.0
"""The same for recorded circuits whose counts are drawn anew (`circuits.redrawn`): real circuits at many strengths of
noise, which harm fewer unseen ones than drawn outputs do."""
_OFTEN = {"right": 7.0, "near": 3.0}
"""How many times more weight calibrations that are right, or nearly, have than others: it is what users have,
and where a gate that doubts every calibration gives away most."""
_OF_CIRCUITS = {"tails": 4.0, "smooth": 3.0}
"""The same for families of a table of circuits: few strings with true tails, which a calibration that is too bad passes
for noise, and smooth outputs of 12 to 16 bits, which look like one string. Both are rare in it, and nothing else warns
of them."""
_WIDE_CIRCUITS = 2.5
"""The same for wide registers of such a table."""
_HARDWARE = 5.0
"""The same for what real machines returned, see `circuits.HARDWARE`, beside what was simulated of recorded ones."""


class Score(NamedTuple):
    """How a gate does on some cases."""

    group: str
    """Which cases."""
    cases: int
    """How many."""
    raw: float
    """Mean fidelity of the counts."""
    answer: float
    """Mean fidelity of the answers."""
    harmed: float
    """Share of the cases that lose more than .02."""
    worst: float
    """Largest loss (negative), or smallest gain."""
    left: float
    """Share of the cases left as they were."""
    best: float
    """Mean fidelity of the best candidate of each case: a bound for choosing one."""


def weighed(
    table: Table, gate: Gate | None = None, wide: Gate | None = None, told_by: Floats | None = None
) -> tuple[Floats, Floats, Floats]:
    """Give, for every row, the fidelity of the candidates as they are weighed, their weights, and the confidence.

    Args:
        table: the cases.
        gate: that weighs, the one that ships by default.
        wide: that weighs counts alone of more than 12 bits, likewise.
        told_by: ``(r, 2)`` what users expect, see `inputs`.

    Raises:
        ValueError: a gate takes another number of features than the table has.
    """
    gram, given = table.gram.astype(np.float64), inputs(table, told_by).astype(np.float64)
    weights, confidence = np.zeros(table.present.shape), np.zeros(len(table))
    beyond = wide_counts(table)
    for rows, judge in (~beyond, gate or shipped(table.names)), (beyond, wide or shipped(wide=True)):
        if not rows.any():
            continue
        if given.shape[1] != len(judge.mean):
            got = f"{len(judge.mean)} and {given.shape[1]}"
            raise ValueError(f"gate and table must have equally many features; got {got}")
        weights[rows], confidence[rows] = judge.weigh(given[rows], table.present[rows], gram[rows, :-1, :-1])
    return fidelity(weights, gram)[0], weights, confidence


def answers(
    table: Table, gate: Gate | None = None, wide: Gate | None = None, told_by: Floats | None = None
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Give, for every row, the fidelity of the decision's answer, its confidence, and whether it was applied.

    Raises:
        ValueError: as `weighed` does.
    """
    reached, weights, confidence = weighed(table, gate, wide, told_by)
    kept = weights[:, RAW]
    if table.names == candidates.NAMES:
        fixing = wide_counts(table) & (table.gram[:, RAW, candidates.FIXED] < 1)  # in single precision: alike is 1
        kept = kept + np.where(fixing, 0.0, weights[:, candidates.SMOOTH])
    applied = (confidence >= LEAST_CONFIDENCE) & (1 - kept >= LEAST_SHARE)
    return np.where(applied, reached, raw(table)), confidence, applied


def wide_counts(table: Table) -> NDArray[np.bool_]:
    """``(r,)`` which rows are counts alone of more bits than are deconvolved whole: a gate of their own weighs them."""
    return np.asarray((table.n_bits > candidates.WIDEST) & (table.names == candidates.NAMES))


def raw(table: Table) -> Floats:
    """Give the fidelity of the counts themselves, ``(r,)``."""
    return np.asarray(table.gram[:, RAW, -1].astype(np.float64) ** 2)


def scores(table: Table, gate: Gate | None = None, by: str = "group", wide: Gate | None = None) -> list[Score]:
    """Score gates, as `weighed` takes them, on every group of cases, and on all."""
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
    """``(r,)`` which rows weigh as those of recorded sets: records, and drawn chains as one set.

    Chains do since their faults come as those of circuits do, and few drawn cases are like them.
    """
    return np.asarray(~table.drawn | (table.group == "chains"))


def balanced(table: Table, recorded: float = RECORDED) -> Floats:
    """Give the weight of every row so that recorded sets together have a share of it, each by the root of its size.

    Alike, a set of four records would be learned by heart; by size, one machine's thousand would be all that counts.
    What counts as a set, `as_sets` tells.
    """
    mine = ~as_sets(table)
    weight = np.where(mine, (1 - recorded) / max(int(mine.sum()), 1), 0.0)
    sets, sizes = np.unique(table.group[~mine], return_counts=True)
    for name, size in zip(sets, sizes, strict=True):
        weight[table.group == name] = recorded / np.sqrt(sizes).sum() / np.sqrt(size)
    sharp = table.group == "sharp"
    if sharp.any() and not sharp.all():
        weight[sharp] *= _SHARP * weight.sum() / weight[sharp].sum()
    weight[table.group == "ghz"] *= _GHZ
    weight[table.group == "wide-smooth"] *= _WIDE_SMOOTH
    weight[np.char.startswith(table.group, "redrawn-")] *= _REDRAWN
    if table.names == circuit_candidates.NAMES:
        for family, times in _OF_CIRCUITS.items():
            weight[table.group == family] *= times
        weight[np.char.startswith(table.group, "wide-")] *= _WIDE_CIRCUITS
        weight[np.isin(table.group, [f"records-{name}" for name in HARDWARE])] *= _HARDWARE
        for kind, times in _OFTEN.items():
            weight[table.kind == kind] *= times
    return weight if weight.any() else np.ones(len(table))
