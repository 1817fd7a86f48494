"""Rows of compiled circuits for the gate of `mitigate(run)`: their counts are answered by gates that never saw them.

What counts say alone is one candidate of that gate, and the decision about counts that ships was trained on the same
circuits. Of these it says more than it ever will of others, and a gate that learns from such rows trusts it too much
(stacking wants answers to what was left out: Wolpert, 1992, "Stacked generalization"). So the files are halved, and the
counts of each half are answered by a gate that was trained on the other one.

Run from the repository, with the table of counts and the files that its recorded sets were put together from, in their
order; run again to go on where it stopped:
    python -m benchmarks.cross_fit --counts counts_table --out table programs=programs1.jsonl.gz,programs2.jsonl.gz ...
"""

import argparse
from pathlib import Path

import numpy as np

from qcluster.core.decision.gate import Gate
from qcluster.files import read_lines
from qcluster.learn.decision.score import balanced, wide_counts
from qcluster.learn.decision.table import Table, build_part, joined, plan, read
from qcluster.learn.decision.train import train


def halves(files: list[Path]) -> tuple[list[Path], list[Path]]:
    """Give the first half of some files, and the rest.

    Raises:
        ValueError: there are less than two.
    """
    if len(files) < 2:
        raise ValueError(f"a set must be put together from two files or more; got {', '.join(map(str, files))}")
    return files[: len(files) // 2], files[len(files) // 2 :]


def without(table: Table, name: str, first: int, fold: int) -> Table:
    """Leave a half of a recorded set out of its part of a table of counts, with what was drawn anew of its records.

    Args:
        table: the part, records in their order, each before what was drawn of it.
        name: of the set.
        first: how many records the first half has.
        fold: 0 leaves the first half out, 1 the second.
    """
    record = np.cumsum(table.group == name) - 1
    return table.take((record >= first) == (fold == 0))


def gate(counts: Path, sets: dict[str, list[Path]], fold: int, workers: int) -> Gate:
    """Train a gate for counts, as the one for up to 12 bits that ships, without a half of some sets."""
    parts = []
    for path in sorted(counts.glob("*.npz")):
        part, name = read(path), path.stem.removeprefix("records-")
        if name in sets:
            many = sum(1 for file in halves(sets[name])[0] for _ in read_lines(file, lambda number, record: record))
            part = without(part, name, many, fold)
        parts.append(part)
    table = joined(parts)
    table = table.take(~wide_counts(table))
    return train(table, None, balanced(table), workers=workers)


def main() -> None:
    """Write the parts of the table that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=Path, required=True, help="folder of the table of counts")
    parser.add_argument("--out", type=Path, required=True, help="folder of the table of circuits")
    parser.add_argument("--workers", type=int, default=1, help="processes that train")
    parser.add_argument(
        "sets", nargs="+", help="recorded set of that table, and the files of which it is: NAME=FILE,FILE"
    )
    given = parser.parse_args()
    sets = {name: list(map(Path, files.split(","))) for name, _, files in (one.partition("=") for one in given.sets)}
    for fold in (0, 1):
        records = [path for files in sets.values() for path in halves(files)[fold]]
        parts = plan(given.out, {"circuit": 0}, records, any_gate=True)
        trained = gate(given.counts, sets, fold, given.workers) if parts else None
        for part in parts:
            print(build_part(part, trained).name, flush=True)


if __name__ == "__main__":
    main()
