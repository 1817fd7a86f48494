"""How the decision does on cases that its gate was not trained on: fresh draws, whole families, whole recorded sets.

    qcluster decision build --out table --full 36000 --wide 12000 --sharp 8000 --records ...
    qcluster decision train --table table --out gate.npz
    qcluster decision train --table table --wide --epochs 155 --members 16 --out wide_gate.npz
    qcluster decision build --out outside --full 0 --wide 0 --sharp 0 --records outside.jsonl.gz
    python -m benchmarks.decision --table table --outside outside --gate gate.npz --wide-gate wide_gate.npz

Writes benchmarks/results/decision.csv. Every family of ideals was kept from two of the gate's networks: what these two
make of it alone is what the gate does with outputs of a kind that it never saw. Few strings are kept from none, and
outputs of more than 12 bits. For every recorded set, gates of four networks are trained without it, which takes minutes
for each; sets of simulated circuits, which are also drawn anew, are not left out.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.data import write_row_by_row
from qcluster.core.decision.candidates import NAMES
from qcluster.core.decision.gate import Gate, shipped
from qcluster.learn.decision import cases, clouds
from qcluster.learn.decision.cases import Case
from qcluster.learn.decision.gates import read_gate
from qcluster.learn.decision.score import RECORDED, Score, answers, balanced, raw, scores, wide_rows
from qcluster.learn.decision.table import Table, read_all, tabulate
from qcluster.learn.decision.train import Training, train

FRESH = range(2_000_000, 2_001_500)
"""Seeds that no table holds."""


def fresh_cases() -> Iterator[Case]:
    """Draw cases anew, in the proportions of a table."""
    yield from map(cases.full, FRESH)
    yield from map(cases.wide, FRESH[::5])
    yield from map(cases.near, FRESH[::5])
    yield from map(cases.near_on_few, FRESH[::5])
    yield from map(clouds.wide, FRESH[::5])
    yield from map(clouds.on_few, FRESH[::5])
    yield from map(cases.sharp, FRESH[::8])


def fresh() -> Table:
    """Tabulate them."""
    return tabulate(fresh_cases())


def rows(
    table: Table, outside: Table | None, gate: Gate, wide: Gate, recorded: float, workers: int = 1
) -> Iterator[tuple[str, Score]]:
    """Give the scores, each with what was left out of the training."""
    judged, mine = fresh(), table.drawn
    records = table.take(~mine)
    for score in (*scores(judged, gate, wide=wide), *scores(judged, gate, "kind", wide)):
        yield "fresh draws", score
    for score in scores(tabulate(cases.full(seed, ("fixed",)) for seed in FRESH[:600]), gate, "kind"):
        yield "fixed and free bits", score
    reached, confidence, applied = answers(judged, gate, wide)
    for low in (0.5, 0.6, 0.7, 0.8, 0.9):
        some = applied & (confidence >= low) & (confidence < low + 0.1 + (low == 0.9))
        won = float((reached[some] > raw(judged)[some]).mean())
        yield "fresh draws, by confidence", Score(f"{low:.1f}", int(some.sum()), *[np.nan, won, *[np.nan] * 4])
    if outside is not None:
        for score in scores(outside.take(~outside.drawn), gate, wide=wide):
            yield "circuits outside", score
    for score in scores(records, gate, wide=wide):
        yield "nothing", score
    for family in np.unique(table.group[mine]):
        blind = gate.unseen(str(family))
        if blind is not None:
            yield "the family", scores(table.take(table.group == family), blind)[0]
    names = {str(name) for name in records.group}
    for name in sorted(name for name in names if f"redrawn-{name}" not in table.group):
        held = records.take(records.group == name)
        beyond = wide_rows(held)
        of_few = None if beyond.all() else _blind(table.take(~wide_rows(table)), name, gate, recorded, workers)
        of_many = _blind(table.take(wide_rows(table)), name, wide, recorded, workers) if beyond.any() else None
        yield "the set", scores(held, of_few, wide=of_many)[0]
        if of_many and of_few:
            yield "the set, beyond 12 bits", scores(held.take(beyond), wide=of_many)[0]


def _blind(table: Table, name: str, gate: Gate, recorded: float, workers: int) -> Gate:
    """Train as a gate was, with half of its networks, without a recorded set."""
    kept = table.take(table.group != name)
    few = replace(Training(**json.loads(gate.card)["settings"]), members=4, missed=1)
    return train(kept, few, balanced(kept, recorded), workers=workers)


def written(score: Score) -> dict[str, object]:
    """Write a score with four digits."""
    return {name: f"{value:.4f}" if isinstance(value, float) else value for name, value in score._asdict().items()}


def main() -> None:
    """Score and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--outside", type=Path, help="table of records that were never trained on")
    parser.add_argument("--gate", type=Path, help="by default the one that ships")
    parser.add_argument("--wide-gate", type=Path, help="of counts of more than 12 bits, likewise")
    parser.add_argument("--recorded", type=float, default=RECORDED, help="share of the weight of recorded sets")
    parser.add_argument("--workers", type=int, default=1, help="processes of the training")
    given = parser.parse_args()
    outside = read_all(given.outside) if given.outside else None
    gate = shipped() if given.gate is None else read_gate(given.gate, NAMES, wide=False)
    wide = shipped(wide=True) if given.wide_gate is None else read_gate(given.wide_gate, NAMES, wide=True)
    found = rows(read_all(given.table), outside, gate, wide, given.recorded, given.workers)
    write_row_by_row("decision.csv", ({"left_out": out} | written(score) for out, score in found))


if __name__ == "__main__":
    main()
