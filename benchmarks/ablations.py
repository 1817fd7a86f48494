"""What each part of the decision for counts is worth: gates of four networks, trained and judged with one part gone.

    python -m benchmarks.ablations --table table --outside outside

Tables are those of `benchmarks.decision`. Writes benchmarks/results/ablations.csv: mean fidelity, share harmed and
worst loss on fresh draws, and on circuits outside the training families. Two parts are left out of the answer alone:
without the word of confidence every answer is applied, whatever the second head says; without the screen counts are
weighed that cannot be told from uniform noise. Counts of more than 12 bits have a gate of their own and are not here.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import write_as_they_come
from benchmarks.decision import fresh, fresh_cases
from qcluster.core.arrays import Floats
from qcluster.core.decision.decide import screened
from qcluster.core.decision.gate import Gate
from qcluster.learn.decision.score import HARM, RECORDED, answers, as_sets, balanced, raw, weighed, wide_counts
from qcluster.learn.decision.table import Table, read_all
from qcluster.learn.decision.train import Training, train

FEW = Training(members=4, missed=1)
"""Half as many networks as ship: the same for all rows of the result."""
Judge = Callable[[Table, Gate], Floats]


def without_overlaps(table: Table) -> Table:
    """Blank the squared overlaps of candidates: they stand before the last features, one a candidate."""
    many = len(table.names)
    blank = table.features.copy()
    blank[:, -many * (many + 1) // 2 : -many] = 0
    return replace(table, features=blank)


def decided(table: Table, gate: Gate) -> Floats:
    """Give the fidelity of the decision's answers, ``(r,)``."""
    return answers(table, gate)[0]


def applied(table: Table, gate: Gate) -> Floats:
    """Give the fidelity of the weighed answers, whatever their confidence, ``(r,)``."""
    return weighed(table, gate)[0]


def unweighed() -> NDArray[np.bool_]:
    """Tell which of the fresh cases are left as they came before anything is weighed."""
    return np.array([screened(case.counts)[0] is not None for case in fresh_cases()])


def rows(table: Table, outside: Table, recorded: float, workers: int) -> Iterator[dict[str, Any]]:
    """Train without each part, and give its name, what it is judged on, and the fidelities before and after."""
    drawn = fresh()
    narrow = ~wide_counts(drawn)
    judged = {"fresh draws": drawn.take(narrow), "circuits outside": outside}
    left = {"fresh draws": unweighed()[narrow], "circuits outside": np.zeros(len(outside), bool)}

    def scored(
        name: str,
        gate: Gate,
        judge: Judge = decided,
        screen: bool = True,
        change: Callable[[Table], Table] | None = None,
    ) -> Iterator[dict[str, Any]]:
        for where, cases_there in judged.items():
            before = raw(cases_there)
            after = np.where(left[where] & screen, before, judge(change(cases_there) if change else cases_there, gate))
            gain = after - before
            figures = {
                "raw": before.mean(),
                "answer": after.mean(),
                "harmed": (gain < -HARM).mean(),
                "worst": gain.min(),
            }
            row = {"left_out": name, "judged_on": where, "cases": len(before)}
            yield row | {key: f"{value:.4f}" for key, value in figures.items()}

    def trained(some: Table, settings: Training = FEW) -> Gate:
        return train(some, settings, balanced(some, recorded), workers=workers)

    whole = trained(table)
    yield from scored("nothing", whole)
    yield from scored("the screen", whole, screen=False)
    yield from scored("the word of confidence", whole, applied)
    yield from scored("overlaps", trained(without_overlaps(table)), change=without_overlaps)
    yield from scored("recorded sets", trained(table.take(~as_sets(table))))
    yield from scored("the weight of harm", trained(table, replace(FEW, harm=0.0)))


def main() -> None:
    """Train, score and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--outside", type=Path, required=True, help="table of records that were never trained on")
    parser.add_argument("--recorded", type=float, default=RECORDED, help="share of the weight of recorded sets")
    parser.add_argument("--workers", type=int, default=1, help="processes of the training")
    given = parser.parse_args()
    tables = [table.take(~wide_counts(table)) for table in map(read_all, (given.table, given.outside))]
    found = rows(*tables, given.recorded, given.workers)
    write_as_they_come("ablations.csv", found)


if __name__ == "__main__":
    main()
