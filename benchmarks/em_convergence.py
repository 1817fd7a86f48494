"""How often the EM of the sparse mixture has not converged on recorded counts, by the most rounds that it is allowed.

Run from the repository: python -m benchmarks.em_convergence
Takes the first 60 records of each file, and writes benchmarks/results/em_convergence.csv.
"""

from benchmarks.data import DATA, write_rows
from qcluster.bench.records import read_records
from qcluster.core.sparse.fit import MOST_BITS, MixtureSettings, fit_mixture

ROUNDS = (15, 30, 60, 120)


def main() -> None:
    rows = []
    for path in sorted(DATA.glob("*.jsonl.gz")):
        if path.name.endswith("_ideals.jsonl.gz"):
            continue
        sets = [one.counts for one in read_records(path, limit=60) if one.counts.n_bits <= MOST_BITS]
        fits = {r: [fit_mixture(d.bits, d.weights, settings=MixtureSettings(rounds=r)) for d in sets] for r in ROUNDS}
        row = {f"not_converged_in_{r}": sum(not fit.converged for fit in fits[r]) for r in ROUNDS}
        rows.append({"records": path.name.split(".")[0], "sets": len(sets), **row})
        print(rows[-1], flush=True)
    total = {key: sum(int(row[key]) for row in rows) for key in rows[0] if key != "records"}
    rows.append({"records": "all", **total})
    print(rows[-1])
    write_rows("em_convergence.csv", rows)


if __name__ == "__main__":
    main()
