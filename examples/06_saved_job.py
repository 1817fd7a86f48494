"""Submit jobs now and collect them later, in another process if need be; or mitigate a job that finished long ago.

Run: python examples/06_saved_job.py [folder]                submits to FakeTorino, and collects
     python examples/06_saved_job.py [folder] ibm_torino     submits to a machine; run again to collect
     python examples/06_saved_job.py --job JOB_ID            mitigates any Sampler job of your account, by its id
"""

import sys
from pathlib import Path
from typing import Any

import qcluster as qc
from qcluster.bench.circuits import make_case
from qcluster.device import jobs
from qcluster.device.machines.machine import find_machine
from qcluster.device.prepare import Options, prepare


def submit(folder: Path, backend: str) -> None:
    """Save the request, send it, and return; the folder contains everything that is needed to continue."""
    circuit = make_case("bv:6:secret=101101").circuit
    machine = find_machine(backend)
    jobs.submit(prepare([circuit], machine, Options(shots=4096, twirls=4), seed=7), machine, folder)


def show(counts: Any) -> None:
    """Mitigate counts, and print the verdict and the most probable strings."""
    fixed = qc.mitigate(counts)
    print(fixed)
    for string, probability in fixed.distribution.top(3).items():
        print(f"  {string}  raw {fixed.raw.to_probs().get(string, 0.0):.3f}  mitigated {probability:.3f}")


def main(folder: str = "saved-job", backend: str = "fake_torino") -> None:
    """Submit unless the folder has a request already, then collect the runs, with flips undone and twirls pooled."""
    if folder == "--job":
        for pub in jobs.fetch(backend):
            show(pub)
        return
    if not (Path(folder) / "request.json").exists():
        submit(Path(folder), backend)
    for part in jobs.status(folder):
        print(f"part {part.number}: {part.status} {part.reason}")
    for run in jobs.collect(folder, wait=True):
        show(run)


if __name__ == "__main__":
    main(*sys.argv[1:])
