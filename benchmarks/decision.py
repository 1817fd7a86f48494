"""How the decision does on cases that its gate was not trained on: drawn ones, whole families, whole recorded sets.

    qcluster decision build --out table --full 15000 --wide 3500 --sharp 4000 --records ...
    python -m benchmarks.decision --table table --outside outside heldout

Writes benchmarks/results/decision.csv. Sets named with --outside are never trained on. Leaving out costs a training for
each fold; those gates have two networks in place of six.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from qcluster.core.decision.gate import read_gate
from qcluster.learn.decision.ideals import FAMILIES
from qcluster.learn.decision.score import Score, answers, balanced, raw, scores
from qcluster.learn.decision.table import Table, joined, read_all
from qcluster.learn.decision.train import Training, train, write_gate

OUT = Path(__file__).parent / "results" / "decision.csv"
HELD = 0.08
"""Share of the drawn cases that no gate is trained on."""


def parts(table: Table, outside: list[str]) -> tuple[Table, Table, Table, Table]:
    """Part a table into drawn cases to train on and to judge by, recorded sets, and sets from outside."""
    away = np.isin(table.group, outside)
    drawn = (np.isin(table.group, [*FAMILIES, "sharp"]) | np.char.startswith(table.group, "wide-")) & ~away
    inside = np.flatnonzero(~away)
    judged = np.zeros(len(table), dtype=bool)
    judged[inside] = np.random.default_rng(0).random(len(inside)) < HELD
    return table.take(drawn & ~judged), table.take(drawn & judged), table.take(~drawn & ~away), table.take(away)


def rows(table: Table, outside: list[str], recorded: float, gate_path: Path | None) -> Iterator[tuple[str, Score]]:
    """Give the scores, each with what was left out of the training."""
    learned, judged, records, away = parts(table, outside)
    few = Training(members=2)
    if gate_path is None:
        gate_path = Path("gate.npz")
        every = joined([learned, records])
        write_gate(train(every, Training(), balanced(every, recorded)), gate_path)
    gate = read_gate(gate_path)
    for name, part in (("drawn", judged), ("nothing", records), ("these sets", away)):
        for score in scores(part, gate):
            yield name, score
    for score in scores(judged, gate, "kind"):
        yield "drawn, by noise", score
    reached, confidence, applied = answers(judged, gate)
    for low in (0.5, 0.6, 0.7, 0.8, 0.9):
        some = applied & (confidence >= low) & (confidence < low + 0.1 + (low == 0.9))
        won = float((reached[some] > raw(judged)[some]).mean())
        yield "drawn, by confidence", Score(f"{low:.1f}", int(some.sum()), np.nan, won, np.nan, np.nan, np.nan, np.nan)
    names = list(FAMILIES)
    for first in range(4):
        out = np.isin(learned.group, names[first::4])
        kept = joined([learned.take(~out), records])
        fold = train(kept, few, balanced(kept, recorded))
        for score in scores(learned.take(out), fold)[:-1]:
            yield "the family", score
    for name in np.unique(records.group):
        out = np.char.startswith(records.group, str(name).split("_")[0])
        kept = joined([learned, records.take(~out)])
        yield (
            "the set",
            scores(records.take(records.group == name), train(kept, few, balanced(kept, recorded)))[-1]._replace(
                group=name
            ),
        )


def main() -> None:
    """Score and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--outside", nargs="*", default=[])
    parser.add_argument("--recorded", type=float, default=0.25, help="share of the weight of recorded sets")
    parser.add_argument("--gate", type=Path, help="score this one; by default a gate is trained and kept as gate.npz")
    given = parser.parse_args()
    with OUT.open("w", encoding="utf-8", newline="") as stream:
        lines = csv.writer(stream, lineterminator="\n")
        lines.writerow(("left_out", *Score._fields))
        for out, score in rows(read_all(given.table), given.outside, given.recorded, given.gate):
            lines.writerow((out, *(f"{value:.4f}" if isinstance(value, float) else value for value in score)))
            print(out, *(f"{value:.3f}" if isinstance(value, float) else value for value in score), flush=True)


if __name__ == "__main__":
    main()
