"""Training rows of compiled circuits for the gate of `mitigate(run)`, cross-fitted.

One candidate of that gate is the answer from the counts alone. The shipped gate for counts was trained on the same
circuits, so it does better on them than on others, and a gate that learns from its answers trusts them too much.
Stacking needs answers on data that were left out of the training (Wolpert, 1992, "Stacked generalization"). So the
files are split into halves, and the counts of each half are answered by a gate that was trained on the other half.

Run from the repository, with the table of counts and, in order, the files from which its recorded sets were built; a
second run continues where the first stopped:
    python -m benchmarks.cross_fit --counts counts_table --out table programs=programs1.jsonl.gz,programs2.jsonl.gz ...
"""

import argparse
from pathlib import Path

import numpy as np

from qcluster.core.decision.gate import Gate
from qcluster.files import read_lines
from qcluster.learn.decision.score import balanced, wide_rows
from qcluster.learn.decision.table import Table, build_part, joined, plan, read
from qcluster.learn.decision.train import train


def halves(files: list[Path]) -> tuple[list[Path], list[Path]]:
    """Return the first half of the files, and the rest.

    Raises:
        ValueError: There are fewer than two files.
    """
    if len(files) < 2:
        raise ValueError(f"a set must be put together from two files or more; got {', '.join(map(str, files))}")
    return files[: len(files) // 2], files[len(files) // 2 :]


def without(table: Table, name: str, first: int, fold: int) -> Table:
    """Return a part of a table of counts without one half of a recorded set, including the redraws of its records.

    Args:
        table: The part, with records in order, each followed by its redraws.
        name: Name of the set.
        first: Number of records in the first half.
        fold: 0 leaves out the first half, 1 the second.
    """
    record = np.cumsum(table.group == name) - 1
    return table.take((record >= first) == (fold == 0))


def gate(counts: Path, sets: dict[str, list[Path]], fold: int, workers: int) -> Gate:
    """Train a gate for counts of up to 12 bits, like the shipped one, without one half of each given set."""
    parts = []
    for path in sorted(counts.glob("*.npz")):
        part, name = read(path), path.stem.removeprefix("records-")
        if name in sets:
            first = sum(1 for file in halves(sets[name])[0] for _ in read_lines(file, lambda number, record: record))
            part = without(part, name, first, fold)
        parts.append(part)
    table = joined(parts)
    table = table.take(~wide_rows(table))
    return train(table, None, balanced(table), workers=workers)


def main() -> None:
    """Write the missing parts of the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=Path, required=True, help="folder of the table of counts")
    parser.add_argument("--out", type=Path, required=True, help="folder of the table of circuits")
    parser.add_argument("--workers", type=int, default=1, help="processes that train")
    parser.add_argument("sets", nargs="+", help="recorded set of that table, and its files: NAME=FILE,FILE")
    options = parser.parse_args()
    sets = {name: list(map(Path, files.split(","))) for name, _, files in (one.partition("=") for one in options.sets)}
    for fold in (0, 1):
        records = [path for files in sets.values() for path in halves(files)[fold]]
        parts = plan(options.out, {"circuit": 0}, records, any_gate=True)
        trained = gate(options.counts, sets, fold, options.workers) if parts else None
        for part in parts:
            print(build_part(part, trained).name, flush=True)


if __name__ == "__main__":
    main()
