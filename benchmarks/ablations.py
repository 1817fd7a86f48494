"""Ablation study of the decision about counts: gates of four networks, trained and scored with one part left out.

    python -m benchmarks.ablations --table table --outside outside

The tables are made by `benchmarks.decision`. Writes benchmarks/results/ablations.csv: mean fidelity, share harmed and
worst loss, on fresh draws and on circuits outside the training families. Two parts are left out of the answer only, not
of the training: without the confidence every answer is applied, and without the screen the gate also weights candidates
for counts that cannot be told from uniform noise. Counts of more than 12 bits have a separate gate and are not
included.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import write_row_by_row
from benchmarks.decision import fresh, fresh_cases
from qcluster.core.arrays import Floats
from qcluster.core.decision.decide import screened
from qcluster.core.decision.gate import Gate
from qcluster.learn.decision.score import HARM, RECORDED, answers, as_sets, balanced, raw, weigh, wide_rows
from qcluster.learn.decision.table import Table, read_all
from qcluster.learn.decision.train import Training, train

FEW = Training(members=4, missed=1)
"""Half as many networks as in the shipped gate, for all rows of the result."""
Judge = Callable[[Table, Gate], Floats]


def without_overlaps(table: Table) -> Table:
    """Set the squared overlaps of candidates to zero; these columns precede the last ones, one per candidate."""
    n = len(table.names)
    features = table.features.copy()
    features[:, -n * (n + 1) // 2 : -n] = 0
    return replace(table, features=features)


def decided(table: Table, gate: Gate) -> Floats:
    """Return the fidelity of the answers of the decision, ``(r,)``."""
    return answers(table, gate)[0]


def applied(table: Table, gate: Gate) -> Floats:
    """Return the fidelity of the weighted answers, whatever their confidence, ``(r,)``."""
    return weigh(table, gate)[0]


def unweighed() -> NDArray[np.bool_]:
    """Return which of the fresh cases the screen leaves unchanged, ``(r,) bool``."""
    return np.array([screened(case.counts)[0] is not None for case in fresh_cases()])


def rows(table: Table, outside: Table, recorded: float, workers: int) -> Iterator[dict[str, Any]]:
    """Train without each part, and yield its name, the data it is scored on, and fidelities before and after."""
    drawn = fresh()
    narrow = ~wide_rows(drawn)
    test_sets = {"fresh draws": drawn.take(narrow), "circuits outside": outside}
    unchanged = {"fresh draws": unweighed()[narrow], "circuits outside": np.zeros(len(outside), bool)}

    def scored(
        name: str,
        gate: Gate,
        judge: Judge = decided,
        screen: bool = True,
        change: Callable[[Table], Table] | None = None,
    ) -> Iterator[dict[str, Any]]:
        for name_of_set, cases in test_sets.items():
            before, answered = raw(cases), judge(change(cases) if change else cases, gate)
            after = np.where(unchanged[name_of_set] & screen, before, answered)
            gain = after - before
            figures = {
                "raw": before.mean(),
                "answer": after.mean(),
                "harmed": (gain < -HARM).mean(),
                "worst": gain.min(),
            }
            row = {"left_out": name, "judged_on": name_of_set, "cases": len(before)}
            yield row | {key: f"{value:.4f}" for key, value in figures.items()}

    def trained(part: Table, settings: Training = FEW) -> Gate:
        return train(part, settings, balanced(part, recorded), workers=workers)

    whole = trained(table)
    yield from scored("nothing", whole)
    yield from scored("the screen", whole, screen=False)
    yield from scored("the word of confidence", whole, applied)
    yield from scored("overlaps", trained(without_overlaps(table)), change=without_overlaps)
    yield from scored("recorded sets", trained(table.take(~as_sets(table))))
    yield from scored("the weight of harm", trained(table, replace(FEW, harm=0.0)))


def main() -> None:
    """Train and score each ablation, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--outside", type=Path, required=True, help="table of records that no gate was trained on")
    parser.add_argument("--recorded", type=float, default=RECORDED, help="share of the weight of recorded sets")
    parser.add_argument("--workers", type=int, default=1, help="processes of the training")
    options = parser.parse_args()
    table, outside = (whole.take(~wide_rows(whole)) for whole in map(read_all, (options.table, options.outside)))
    found = rows(table, outside.take(~outside.drawn), options.recorded, options.workers)
    write_row_by_row("ablations.csv", found)


if __name__ == "__main__":
    main()
