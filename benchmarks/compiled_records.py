"""Counts of benchmark circuits compiled for recorded machines, with ideals and fault patterns, to train decisions on.

    python -m benchmarks.compiled_records --out compiled.jsonl.gz
    python -m benchmarks.compiled_records --out programs.jsonl.gz --programs 1000
    python -m benchmarks.compiled_records --out wide.jsonl.gz --wide 300 --machines fake_kyiv fake_osaka
    python -m benchmarks.compiled_records --out hardware.jsonl.gz --recorded
    qcluster decision build --out table --records compiled.jsonl.gz
    python -m benchmarks.compiled_records --rotations compiled.jsonl.gz

With ``--programs`` or ``--wide``, so many of `benchmarks.random_programs` instead of benchmark circuits; with
``--recorded``, what real machines returned for circuits that are known, with calibrations of other days; with
``--rotations``, how many rotations off Clifford gates circuits have, for outputs as uneven as theirs.
None of the circuits of `benchmarks.outside`, on which the decision is judged, is among them, and none of its machines.
"""

import argparse
import gzip
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from inspect import signature
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

import qcluster as qc
from benchmarks.data import runs
from benchmarks.random_programs import program, wide
from qcluster.bench.circuits import Case
from qcluster.bench.circuits.suites import FAMILIES, SUITES, make_case
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.stats.special import unevenness
from qcluster.device.machines.machine import Machine, find_machine
from qcluster.device.run import Run
from qcluster.files import check_place, read_lines, write_whole
from qcluster.learn.decision.circuits import EVEN, HARDWARE

MACHINES = ("fake_kyiv", "fake_marrakesh", "fake_guadalupe", "fake_lagos", "fake_manila", "fake_washington")
MORE = (
    *("iqp:4:seed=3", "iqp:6:seed=4", "dense:4:seed=1", "dense:5:seed=2", "dense:7:seed=3", "vqe:4:seed=2", "vqe:5"),
    *("qaoa:4", "qaoa:5:seed=3", "qaoa:7:seed=4", "qaoa:9:seed=5", "ising:4", "ising:6", "vqe:8:seed=3", "qft:3"),
    *("quantum_walk:4", "qpe:4", "qpe:6", "grover:4", "simon:4", "coin:3", "coin:6", "sat:7", "trotter:4", "qft:5"),
    *("ghz:4", "ghz:6", "ghz:10", "ghz:13", "bv:12", "w_state:4", "w_state:6", "cat:9", "trotter:5:layers=6"),
    *("mirror:5:depth=20,seed=5", "iqp:3:seed=7", "iqp:8:seed=8", "dense:3:seed=4", "dense:6:seed=5", "dense:8:seed=6"),
    *(
        "vqe:3:seed=6",
        "vqe:6:seed=7",
        "vqe:7:seed=8",
        "vqe:9:seed=9",
        "qaoa:3:seed=6",
        "qaoa:6:seed=7",
        "qaoa:8:seed=8",
    ),
    *("ising:3", "ising:5", "ising:7", "ising:8", "quantum_walk:3", "quantum_walk:5", "qpe:3", "qpe:5", "grover:3"),
    *("trotter:3:layers=4", "trotter:6:layers=3", "trotter:7:layers=2", "trotter:8:layers=4", "coin:8", "w_state:8"),
)
SPECS = (*SUITES["low_entropy"], *SUITES["guard"], *MORE)
"""Benchmark circuits that are run."""
SHOTS = (1000, 4096, 8192)


def records(seed: int, widest: int = 16, machines: Sequence[str] = MACHINES) -> Iterator[dict[str, Any]]:
    """Run every circuit on the machines that have room for it, twirled or not, by turns."""
    for place, name in enumerate(machines):
        machine = find_machine(name)
        for turn, spec in enumerate(SPECS):
            case = make_case(another(spec, seed + 7 * place) if seed else spec)
            if case.n_qubits > min(widest, machine.backend.num_qubits) or case.ideal is None:
                continue
            yield measured(case, name, machine, seed + turn, turn + place)


def programs(
    seed: int, many: int, machines: Sequence[str], draw: Callable[[int], Case] = program
) -> Iterator[dict[str, Any]]:
    """Run random programs, each on one machine that has room for it, twirled or not, by turns."""
    found = {name: find_machine(name) for name in machines}
    for number in range(many):
        case = draw(10_000 * seed + number)
        roomy = [name for name, machine in found.items() if machine.backend.num_qubits >= case.n_qubits]
        name = roomy[number % len(roomy)]
        yield measured(case, name, found[name], number, number // len(machines))


def measured(case: Case, name: str, machine: Machine, seed: int, turn: int) -> dict[str, Any]:
    """Run a case on a machine: its counts, its ideal, and its faults."""
    options = {"shots": SHOTS[turn % 3], "twirls": 8 if turn % 2 else 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # dead parts are told, and belong here
        (run,) = qc.execute([case.circuit], machine.backend, seed=seed, **options)
    return record(case, name, run)


def record(case: Case, machine: str, run: Run) -> dict[str, Any]:
    """Give the counts of a run, its ideal, and its faults where they are known."""
    ideal = {text: p for text, p in case.ideal.to_probs().items() if p > 1e-12}
    known = {"machine": machine, "circuit": case.name, "counts": run.counts.to_counts(), "ideal": ideal}
    return known | ({} if run.faults is None else {"faults": written(run.faults)})


def recorded() -> Iterator[dict[str, Any]]:
    """Give what real machines returned for compiled circuits, with the faults by a calibration of another day."""
    for name in HARDWARE:
        for sample in runs(name):
            if sample.run is None or sample.run.faults is None or sample.ideal is None:
                raise ValueError(f"{name}: {sample.identity} has no circuit, or no ideal")
            known = {"machine": sample.machine, "circuit": f"{name}:{sample.identity}"}
            outputs = {"counts": sample.counts.to_counts(), "ideal": sample.ideal.to_probs()}
            yield known | outputs | {"faults": written(sample.run.faults)}


def rotations(paths: Sequence[Path]) -> str:
    """Fit how the rotations of circuits go with their outputs: each circuit counts once, whatever the machine, except
    for the last rotations, which depend on it."""
    found: dict[str, list[tuple[float, float]]] = {}
    inside: dict[bool, list[bool]] = {True: [], False: []}
    for path in paths:
        for record in read_lines(path, lambda _, line: line):
            turned = record.get("faults", {}).get("rotations")
            if turned is not None and record.get("ideal"):
                far = float(unevenness(np.array(list(record["ideal"].values()))))
                found.setdefault(record["circuit"], []).append((turned, far))
                last = record["faults"].get("last_rotations")
                if last is None:
                    raise ValueError(f"{path} must hold the last rotations of its circuits: write it with this version")
                if turned > EVEN:
                    inside[far < EVEN].append(max(last) < EVEN)
    turned, far = np.array([np.mean(several, axis=0) for several in found.values()]).T
    even, some = far < EVEN, turned > EVEN
    free = np.log(turned[even & some])
    beyond = np.log(np.maximum(turned[~even] / far[~even] - 1, 0.01))
    return (
        f"{len(far)} circuits, {even.sum()} with even outputs, of which {(~some[even]).mean():.2f} are Clifford; "
        f"ln(rotations) of the others {free.mean():.2f} +- {free.std():.2f}; where outputs are uneven, "
        f"ln(rotations / unevenness - 1) {beyond.mean():.2f} +- {beyond.std():.2f}; none of the rotations is the last "
        f"on its qubit in {np.mean(inside[True]):.2f} of those with even outputs, and in {np.mean(inside[False]):.2f} "
        "of those with uneven ones"
    )


def another(spec: str, seed: int) -> str:
    """Give another circuit of the same family, where it is drawn from a seed."""
    family, _, rest = spec.partition(":")
    if family not in FAMILIES or "seed" not in signature(FAMILIES[family]).parameters:
        return spec
    width, _, options = rest.partition(":")
    kept = [part for part in options.split(",") if part and not part.startswith("seed=")]
    return f"{family}:{width}:{','.join([*kept, f'seed={seed}'])}"


def written(faults: FaultMasks) -> dict[str, Any]:
    """Give fault patterns as JSON: patterns as integers, the lowest bit for bit 0."""
    patterns = [sum(int(word) << (64 * place) for place, word in enumerate(row)) for row in faults.masks]
    return {
        "masks": patterns,
        "rates": [float(f"{rate:.6g}") for rate in faults.rates],
        "kind": faults.kind.tolist(),
        "readout": faults.readout.round(7).tolist(),
        "rotations": None if faults.rotations is None else float(f"{faults.rotations:.6g}"),
        "last_rotations": None if faults.last_rotations is None else faults.last_rotations.round(7).tolist(),
        **({"measured": True} if faults.measured else {}),
    }


def write_records(path: Path, made: Iterable[dict[str, Any]]) -> None:
    """Write records as gzipped JSON lines, once all are made: what stood there stays until then, also after a kill."""
    check_place(path)
    packed = BytesIO()
    with gzip.open(packed, "wt", encoding="utf-8") as lines:
        for record in made:
            lines.write(json.dumps(record) + "\n")
    write_whole(path, packed.getvalue())


def main() -> None:
    """Write the records, one a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="file to write")
    parser.add_argument("--rotations", type=Path, nargs="+", help="files of such records, to fit rotations to")
    parser.add_argument("--seed", type=int, default=0, help="0 for the circuits as listed, others draw them anew")
    parser.add_argument(
        "--widest", type=int, default=16, help="most qubits of a circuit; simulation takes minutes beyond 10"
    )
    parser.add_argument("--machines", nargs="+", default=list(MACHINES), help="recorded machines to run on")
    parser.add_argument("--programs", type=int, default=0, help="so many random programs of 2 to 8 qubits instead")
    parser.add_argument("--wide", type=int, default=0, help="so many of 13 to 70 qubits, of Clifford gates, instead")
    parser.add_argument("--recorded", action="store_true", help="what real machines returned instead")
    given = parser.parse_args()
    if given.rotations:
        print(rotations(given.rotations))
    if given.out is None:
        return
    if given.recorded:
        made = recorded()
    elif given.programs or given.wide:
        draw = wide if given.wide else program
        made = programs(given.seed, given.programs or given.wide, given.machines, draw)
    else:
        made = records(given.seed, given.widest, given.machines)
    write_records(given.out, made)


if __name__ == "__main__":
    main()
