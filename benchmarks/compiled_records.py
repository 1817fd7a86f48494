"""Counts of benchmark circuits compiled for recorded machines, with their ideals, as records to train the decision on.

    python -m benchmarks.compiled_records --out compiled.jsonl.gz
    qcluster decision build --out table --records compiled.jsonl.gz

None of the circuits of `benchmarks.outside`, on which the decision is judged, is among them, and none of its machines.
"""

import argparse
import gzip
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import qcluster as qc
from qcluster.bench.circuits.suites import SUITES, make_case
from qcluster.device.machines.machine import find_machine

MACHINES = ("fake_kyiv", "fake_marrakesh", "fake_guadalupe", "fake_lagos", "fake_manila", "fake_washington")
MORE = (
    *("iqp:4:seed=3", "iqp:6:seed=4", "dense:4:seed=1", "dense:5:seed=2", "dense:7:seed=3", "vqe:4:seed=2", "vqe:5"),
    *("qaoa:4", "qaoa:5:seed=3", "qaoa:7:seed=4", "qaoa:9:seed=5", "ising:4", "ising:6", "vqe:8:seed=3", "qft:3"),
    *("quantum_walk:4", "qpe:4", "qpe:6", "grover:4", "simon:4", "coin:3", "coin:6", "sat:7", "trotter:4", "qft:5"),
    *("ghz:4", "ghz:6", "ghz:10", "ghz:13", "bv:12", "w_state:4", "w_state:6", "cat:9", "trotter:5:layers=6"),
    "mirror:5:depth=20,seed=5",
)
SHOTS = (1000, 4096, 8192)


def records(seed: int) -> Iterator[dict[str, Any]]:
    """Run every circuit on the machines that have room for it, twirled or not, by turns."""
    specs = [*SUITES["low_entropy"], *SUITES["guard"], *MORE]
    for place, name in enumerate(MACHINES):
        machine = find_machine(name)
        for turn, spec in enumerate(specs):
            case = make_case(spec)
            if case.n_qubits > machine.backend.num_qubits or case.ideal is None:
                continue
            options = {"shots": SHOTS[(turn + place) % 3], "twirls": 8 if (turn + place) % 2 else 1}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # dead parts are told, and belong here
                (run,) = qc.execute([case.circuit], machine.backend, seed=seed + turn, **options)
            ideal = {text: p for text, p in case.ideal.to_probs().items() if p > 1e-12}
            yield {"machine": name, "circuit": spec, "counts": run.counts.to_counts(), "ideal": ideal}


def main() -> None:
    """Write the records, one a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with gzip.open(given.out, "wt", encoding="utf-8") as lines:
        for record in records(given.seed):
            lines.write(json.dumps(record) + "\n")
            lines.flush()


if __name__ == "__main__":
    main()
