"""Count how often EM of the sparse mixture does not converge on recorded counts, for several limits on its rounds.

Run from the repository: python -m benchmarks.em_convergence
Uses the first 60 records of each file, and writes benchmarks/results/em_convergence.csv.
"""

from collections.abc import Iterator

from benchmarks.data import DATA, write_row_by_row
from qcluster.bench.records import read_records
from qcluster.core.sparse.fit import MOST_BITS, MixtureSettings, fit_mixture

ROUNDS = (15, 30, 60, 120)


def rows() -> Iterator[dict[str, object]]:
    total = dict.fromkeys(("sets", *(f"not_converged_in_{r}" for r in ROUNDS)), 0)
    for path in sorted(DATA.glob("*.jsonl.gz")):
        if path.name.endswith("_ideals.jsonl.gz"):
            continue
        sets = [sample.counts for sample in read_records(path, limit=60) if sample.counts.n_bits <= MOST_BITS]
        fits = {r: [fit_mixture(d.bits, d.weights, settings=MixtureSettings(rounds=r)) for d in sets] for r in ROUNDS}
        row = {"sets": len(sets)} | {f"not_converged_in_{r}": sum(not fit.converged for fit in fits[r]) for r in ROUNDS}
        total = {key: total[key] + value for key, value in row.items()}
        yield {"records": path.name.split(".")[0], **row}
    yield {"records": "all", **total}


if __name__ == "__main__":
    write_row_by_row("em_convergence.csv", rows())
