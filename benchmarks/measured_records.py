"""Counts of circuits on machines whose noise differs from the calibration, with fault rates that references measured,
to train the gate for runs with a reference.

    python -m benchmarks.measured_records --seed 1 --programs 600 --out measured1.jsonl.gz
    python -m benchmarks.measured_records --seed 9 --out measured9.jsonl.gz
    qcluster decision build --out table --measured 9000 --records measured1.jsonl.gz

The circuits are random programs or, without ``--programs``, the benchmark circuits of `benchmarks.compiled_records`.
The hidden noise is that of `benchmarks.reference`, whose machines and families of circuits are not among these.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.compiled_records import SPECS, another, record, write_records
from benchmarks.random_programs import program
from benchmarks.reference import FAMILIES, run_hidden
from qcluster.bench.circuits.suites import make_case
from qcluster.device.machines.machine import find_machine

MACHINES = ("fake_kyiv", "fake_marrakesh", "fake_hanoi", "fake_osaka", "fake_guadalupe", "fake_strasbourg")
FIRST = 7_000_000
"""Seed of the first program; `benchmarks.compiled_records` uses smaller ones."""
APART = 100_000
"""Circuits of each seed, at most."""
LEFT_OUT = (*FAMILIES, "w_state", "cat")
"""Families of benchmark circuits on which references are judged, under their names here."""
WIDEST = 7
"""Most qubits of a benchmark circuit, for the time of the simulation."""


def records(seed: int, many: int, machines: Sequence[str] = MACHINES) -> Iterator[dict[str, Any]]:
    """Run random programs with their references, by turns on each machine."""
    found = [find_machine(name) for name in machines]
    for number in range(many):
        drawn, turn = APART * seed + number, number % len(machines)
        case = program(FIRST + drawn)
        yield record(case, machines[turn], run_hidden(case.circuit, found[turn], drawn)[0])


def benchmark_records(seed: int, machines: Sequence[str] = MACHINES) -> Iterator[dict[str, Any]]:
    """Run each benchmark circuit with its reference on every second machine that has room for it."""
    drawn = APART * seed
    for place, name in enumerate(machines):
        machine = find_machine(name)
        for turn, spec in enumerate(SPECS):
            case = make_case(another(spec, seed + 7 * place))
            if (turn + place) % 2 or case.n_qubits > min(WIDEST, machine.backend.num_qubits) or case.ideal is None:
                continue
            drawn += 1
            if case.family in LEFT_OUT:
                continue
            yield record(case, name, run_hidden(case.circuit, machine, drawn)[0])


def main() -> None:
    """Write the records, one a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--seed", type=int, default=1, help="other seeds draw other programs and noise")
    parser.add_argument("--programs", type=int, help="number of random programs, instead of benchmark circuits")
    given = parser.parse_args()
    made = records(given.seed, given.programs) if given.programs else benchmark_records(given.seed)
    write_records(given.out, made)


if __name__ == "__main__":
    main()
