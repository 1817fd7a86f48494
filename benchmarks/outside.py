"""`mitigate(run)` and `mitigate(counts)` beside other methods, on circuits that no suite of `qcluster.bench` holds.

Run from the repository: python -m benchmarks.outside run      simulates benchmarks.outside_circuits, resumable
                         python -m benchmarks.outside score    writes benchmarks/results/outside.csv, prints its table
                         python -m benchmarks.outside table    prints the table again
                         python -m benchmarks.outside records  writes counts and ideals, for `qcluster decision build`

With `--rotated`, the circuits are others: they end with one rotation of all qubits (outside_rotated.csv). With
`--reference`, every circuit runs with a reference circuit, and the methods get the noise that it measured
(outside_reference.csv, outside_rotated_reference.csv).

All methods get the same shots, of circuits compiled at level 3, twirled (8 dresses) and scheduled. Those that use a
calibration get it as it is and as it is not: every fault and readout rate 3 times too large, 3 times too small, each
times a lognormal factor of width 1 of its own, or as another machine's might be: all gates and all readout errors times
factors of width 0.8, each place times one of width 0.5. "noiseless" are as many ideal shots.
"""

import argparse
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

import qcluster as qc
from benchmarks.compiled_records import write_records
from benchmarks.data import read_rows, write_rows
from benchmarks.outside_circuits import ROTATED, cases
from qcluster.bench.circuits import Case
from qcluster.core.counts.bits import index_bits
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.kernel import Kernel
from qcluster.device import jobs
from qcluster.device.jobs.folder import RunFolder
from qcluster.device.machines.machine import find_machine
from qcluster.device.run import read_runs
from qcluster.files import read_saved
from qcluster.learn.decision.circuits import misreported

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "qcluster-outside"
MACHINES = (
    *("fake_sherbrooke", "fake_kawasaki", "fake_fez"),
    *("fake_torino", "fake_mumbai", "fake_brisbane"),
)
SHOTS = 4096
TWIRLS = 8
ROUNDS = 60
HARM = 0.02
"""A run is harmed when its fidelity falls by more than this."""

Saved = tuple[str, str, str, qc.Run, dict[str, float]]
"""Name of the circuit, its family, the machine, the run, and the ideal distribution."""


def place(cache: Path, machine: str, case: Case) -> Path:
    """Where the run of a circuit lies; the name changes with the circuit."""
    return cache / machine / f"{case.name}-{case.fingerprint}"


def simulate(
    cache: Path, circuits: list[Case], machines: list[str], shots: int, *, reference: bool = False
) -> Iterator[qc.Run]:
    """Run what the cache does not hold yet, each circuit alone or with a reference, and finish what was interrupted.

    A machine that offers no feed-forward is spared the circuits that need it.

    Raises:
        ValueError: the cache holds runs of another number of shots.
    """
    for name in machines:
        backend = find_machine(name).backend
        for number, case in enumerate(circuits):
            if "if_else" in case.circuit.count_ops() and "if_else" not in backend.target.operation_names:
                continue
            folder = place(cache, name, case)
            if RunFolder(folder).has_request():
                (run,) = jobs.collect(folder)
            else:
                asked = {"shots": shots, "twirls": TWIRLS, "seed": number, "directory": folder}
                (run,) = qc.execute([case.circuit], backend, reference=reference, **asked)
            if run.shots != shots:
                raise ValueError(f"--shots must be {run.shots:g}, as in {folder}, or --cache another; got {shots}")
            yield run


def load(cache: str | Path, circuits: list[Case]) -> list[Saved]:
    """Read all runs of these circuits that a cache holds; nothing there is locked or written."""
    found = []
    for case in circuits:
        for folder in sorted(Path(cache).glob(f"*/{case.name}-{case.fingerprint}")):
            saved = RunFolder(folder)
            if saved.result_path(0).exists():
                request, twirls = saved.request, map(qc.Distribution.of, read_saved(str(saved.result_path(0))))
                (run,) = read_runs(request, [[next(twirls) for _ in one.flips] for one in request.prepared])
                found.append((case.name, case.family, folder.parent.name, run, case.ideal.to_probs()))
    return found


def known(run: qc.Run) -> FaultMasks:
    """What a method may know of the noise: the run's fault patterns, or where it has none, its readout errors."""
    if run.faults is not None:
        return run.faults
    readout = run.calibration.readout[run.profile.measured]
    return FaultMasks(run.counts.n_bits, np.zeros((0, 1), np.uint64), np.zeros(0), np.zeros(0, np.uint8), readout)


def scattered(faults: FaultMasks, rng: np.random.Generator) -> FaultMasks:
    """Every rate and readout error times a lognormal factor of its own."""
    rates, readout = (array * rng.lognormal(0, 1, array.shape) for array in (faults.rates, faults.readout))
    return replace(faults, rates=rates, readout=np.minimum(readout, 0.49))


CONDITIONS: dict[str, Callable[[FaultMasks, np.random.Generator], FaultMasks]] = {
    "right": lambda faults, rng: faults,
    "3 x too bad": lambda faults, rng: faults.scaled(3),
    "3 x too good": lambda faults, rng: faults.scaled(1 / 3),
    "scattered": scattered,
    "another's": lambda faults, rng: misreported(rng, faults, "other"),
}
"""What the methods are told of the noise, made from what is so."""
MEASURED = {"measured": CONDITIONS["right"]}
"""What they are told where a reference has measured it."""


def richardson_lucy(counts: qc.Distribution, faults: FaultMasks, rounds: int = ROUNDS) -> qc.Distribution:
    """Undo the circuit's fault kernel by plain Richardson-Lucy steps that start at the counts."""
    kernel = Kernel.of(faults)
    shares = kernel.index.vector(counts.words, counts.weights) / counts.shots
    ideal = shares + 1e-12
    for _ in range(rounds):
        ideal *= np.maximum(kernel.adjoint(shares / np.maximum(kernel.forward(ideal), 1e-15)), 0)
        ideal /= ideal.sum()
    return qc.Distribution(index_bits(np.arange(kernel.size), counts.n_bits), ideal * counts.shots)


def noiseless(ideal: Mapping[str, float], shots: int, rng: np.random.Generator) -> qc.Distribution:
    """Draw ideal shots."""
    weights = np.array(list(ideal.values()))
    drawn = rng.multinomial(shots, weights / weights.sum())
    return qc.Distribution.of({text: int(number) for text, number in zip(ideal, drawn, strict=True) if number})


def score(saved: Saved) -> Iterator[dict[str, object]]:
    """Apply every method to the shots of one run, under every condition that makes a difference to it."""
    name, family, machine, run, ideal = saved
    seed = zlib.crc32(f"{name} {machine}".encode())
    counts, shots = run.counts, int(run.shots)
    facts = {"circuit": name, "family": family, "machine": machine, "bits": counts.n_bits, "shots": shots}

    def row(condition: str, method: str, answer: qc.Distribution) -> dict[str, object]:
        fidelity = round(float(qc.metrics.hellinger_fidelity(answer, ideal)), 4)
        return facts | {"condition": condition, "method": method, "fidelity": fidelity}

    yield row("any", "noiseless", noiseless(ideal, shots, np.random.default_rng([seed, 1])))
    yield row("any", "raw", counts)
    yield row("any", "hammer", qc.baselines.hammer(counts))
    yield row("any", "mitigate(counts)", qc.mitigate(counts).distribution)
    for condition, change in (CONDITIONS if run.reference is None else MEASURED).items():
        told = change(known(run), np.random.default_rng([seed, 2]))
        right = change is CONDITIONS["right"] or run.faults is None
        yield row(condition, "mitigate(run)", qc.mitigate(run, noise=None if right else told).distribution)
        yield row(condition, "richardson_lucy", richardson_lucy(counts, told))
        yield row(condition, "m3", qc.baselines.m3(counts, told.readout))


def record(saved: Saved) -> dict[str, object]:
    """Give the counts of a run with their ideal, as `qcluster decision build` takes them."""
    name, _, machine, run, ideal = saved
    return {"id": f"{name} {machine}", "machine": machine, "counts": run.counts.to_counts(), "ideal": ideal}


def table(rows: list[dict[str, str]], by: str) -> str:
    """Write mean fidelity, share of harmed runs and worst change, over all runs and by machine or family."""
    raw = {(row["circuit"], row["machine"]): float(row["fidelity"]) for row in rows if row["method"] == "raw"}
    groups = ["all", *dict.fromkeys(row[by] for row in rows)]
    lines = dict.fromkeys((row["method"], row["condition"]) for row in rows)
    text = [f"| method | calibration | {' | '.join(groups)} |", f"|{'---|' * (2 + len(groups))}"]
    for method, condition in sorted(lines, key=lambda line: (line[0] not in ("noiseless", "raw"), line[0])):
        cells = []
        for group in groups:
            chosen = [
                r for r in rows if (r["method"], r["condition"]) == (method, condition) and group in ("all", r[by])
            ]
            fidelity = np.array([float(row["fidelity"]) for row in chosen])
            change = fidelity - [raw[row["circuit"], row["machine"]] for row in chosen]
            cells.append(f"{fidelity.mean():.3f}, {(change < -HARM).mean():.0%}, {change.min():+.3f}")
        text.append(f"| {method} | {condition} | {' | '.join(cells)} |")
    return "\n".join(text) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=("run", "score", "table", "records"))
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of the runs (default: %(default)s)")
    parser.add_argument("--machines", nargs="+", default=list(MACHINES), help="recorded machines to run on")
    parser.add_argument("--shots", type=int, default=SHOTS, help="of each run, all twirls together")
    parser.add_argument("--rotated", action="store_true", help="circuits that end with one rotation of all qubits")
    parser.add_argument("--reference", action="store_true", help="run each circuit with a reference circuit")
    parser.add_argument("--file", help="table of the scores, in benchmarks/results or where a path says")
    parser.add_argument("--records", type=Path, default=Path("outside.jsonl.gz"), help="where records go")
    parser.add_argument("--by", choices=("machine", "family"), default="machine", help="columns of the table")
    given = parser.parse_args()
    circuits = cases(ROTATED) if given.rotated else cases()
    parts = ["outside", *(["rotated"] if given.rotated else []), *(["reference"] if given.reference else [])]
    file = given.file or "_".join(parts) + ".csv"
    cache = given.cache / "with_reference" if given.reference else given.cache
    if given.what == "run":
        for run in simulate(cache, circuits, given.machines, given.shots, reference=given.reference):
            print(run, flush=True)
        return
    if given.what == "records":
        write_records(given.records, map(record, load(cache, circuits)))
        return
    if given.what == "score":
        write_rows(file, (row for saved in load(cache, circuits) for row in score(saved)))
    print(table(read_rows(file), given.by))


if __name__ == "__main__":
    main()
