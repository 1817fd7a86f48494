"""What well-kept libraries would save: time and files, where this package computes or reads by its own code.

    pip install stim pandas
    python -m benchmarks.libraries

Prints processor times, the least of nine runs. `docs/architecture.md` says what follows from it.
"""

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from qiskit import transpile

from benchmarks.chain import ghz
from qcluster.core.stats import special
from qcluster.device.circuits.timeline import census, delay_seconds, steps
from qcluster.device.machines.machine import find_machine
from qcluster.device.noise.aer import figures, pauli_shares
from qcluster.device.noise.frames import quarter_turns, sample_clifford

BARS = Path(__file__).parent / "results" / "broad" / "bars.csv"
WIDTHS, SHOTS = (20, 60, 120), 8192
TURNS = {1: "S", 2: "Z", 3: "S_DAG"}
SPELLED = {"id": "I", "sdg": "S_DAG", "sx": "SQRT_X", "sxdg": "SQRT_X_DAG"}


def seconds(work: Callable[[], Any], times: int = 9) -> float:
    """Least processor time of a call, once warm, its child processes included."""
    work()
    taken = []
    for _ in range(times):
        start = process_time() + sum(os.times()[2:4])
        work()
        taken.append(process_time() + sum(os.times()[2:4]) - start)
    return min(taken)


def functions() -> None:
    """Time gamma functions beside scipy's, on arrays as deconvolution has them: 45 hypotheses of 10 bits."""
    theirs = import_module("scipy.special")
    shapes = np.random.default_rng(0).gamma(0.5, 4.0, (45, 1024)) + 0.01

    def ratio(a: Any) -> Any:
        return np.exp(theirs.gammaln(a + 0.5) - theirs.gammaln(a))

    pairs = {
        "log_gamma": (special.log_gamma, theirs.gammaln),
        "digamma": (special.digamma, theirs.digamma),
        "exp_digamma": (special.exp_digamma, lambda a: np.exp(theirs.digamma(a))),
        "mean_root": (special.mean_root, ratio),
    }
    for kind in (np.float32, np.float64):
        given: Any = shapes.astype(kind)
        for name, (ours, other) in pairs.items():
            mine, yours = seconds(partial(ours, given)), seconds(partial(other, given))
            print(f"{name}, {kind.__name__}: {mine * 1e3:.2f} ms, scipy {yours * 1e3:.2f} ms: {yours / mine:.1f} times")


def in_stim(circuit: Any, calibration: Any) -> Any:
    """The same circuit and Pauli noise for stim; readout errors, which differ for 0 and 1, are not among them."""
    made = import_module("stim").Circuit()
    _, used, _ = census(circuit)
    for item, qubits, _, _ in steps(circuit):
        name = item.name
        if name == "barrier" or qubits[0] not in used:
            continue
        if name == "measure":
            made.append("M", qubits)
            continue
        turns = (quarter_turns(item.params[0]) or 0) if name == "rz" else 0
        spelled = TURNS.get(turns, "I") if name == "rz" else SPELLED.get(name, name.upper())
        made.append("I" if name == "delay" else spelled, qubits)
        wait = delay_seconds(item.operation, None) if name == "delay" else 0.0
        shares = pauli_shares(*figures(calibration, name, qubits, wait)).ravel()
        made.append("PAULI_CHANNEL_1" if len(qubits) == 1 else "PAULI_CHANNEL_2", qubits, shares[1:].clip(0).tolist())
    return made


def frames() -> None:
    """Time Pauli frames beside stim's: 8192 shots of GHZ states under FakeTorino's noise."""
    torino = find_machine("fake_torino")
    backend, calibration = torino.backend, torino.calibration
    for width in WIDTHS:
        circuit = transpile(ghz(width, measured=True), backend, optimization_level=1, seed_transpiler=0)
        mine = seconds(partial(sample_clifford, [circuit], [SHOTS], calibration, dt=None, seed=1))
        made = seconds(partial(in_stim, circuit, calibration))
        drawn = seconds(partial(in_stim(circuit, calibration).compile_sampler(seed=1).sample, SHOTS))
        print(f"GHZ {width}: {mine:.3f} s, stim {made + drawn:.3f} s, {made:.3f} of it for its circuit and noise")


def imports() -> None:
    """Time `import` of each library in a fresh process, what numpy takes taken off."""

    def fresh(name: str) -> float:
        return seconds(partial(subprocess.run, [sys.executable, "-c", f"import numpy, {name}"], check=True), 15)

    base = fresh("numpy")
    for name in ("scipy.special", "pandas", "qcluster"):
        print(f"import {name}: {(fresh(name) - base) * 1e3:.0f} ms beyond numpy's {base * 1e3:.0f}")


def tables() -> None:
    """Time reading of the longest table of results."""

    def rows() -> Any:
        with BARS.open(newline="", encoding="utf-8") as stream:
            return list(csv.DictReader(stream))

    reader = import_module("pandas").read_csv
    mine, yours = seconds(rows, 3), seconds(lambda: reader(BARS), 3)
    print(f"{BARS.name}, {len(rows()):,} rows: csv {mine * 1e3:.0f} ms, pandas {yours * 1e3:.0f} ms")


if __name__ == "__main__":
    for part in (functions, imports, tables, frames):
        part()
