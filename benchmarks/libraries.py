"""Compare code of this package with established libraries that could replace it: SciPy, stim and pandas.

    pip install stim pandas
    python -m benchmarks.libraries

Prints processor times, the shortest of nine runs. `docs/architecture.md` draws the conclusions.
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
from qcluster.device.noise.aer import channel_arguments, pauli_shares
from qcluster.device.noise.frames import quarter_turns, sample_clifford

BARS = Path(__file__).parent / "results" / "broad" / "bars.csv"
WIDTHS, SHOTS = (20, 60, 120), 8192
Z_POWERS = {1: "S", 2: "Z", 3: "S_DAG"}
"""Names in stim of rotations about Z, by quarter turns."""
STIM_NAMES = {"id": "I", "sdg": "S_DAG", "sx": "SQRT_X", "sxdg": "SQRT_X_DAG"}


def seconds(work: Callable[[], Any], times: int = 9) -> float:
    """Return the shortest processor time of a warm call, including child processes."""
    work()
    measured = []
    for _ in range(times):
        start = process_time() + sum(os.times()[2:4])
        work()
        measured.append(process_time() + sum(os.times()[2:4]) - start)
    return min(measured)


def functions() -> None:
    """Time our gamma functions and SciPy's, on arrays typical of deconvolution: 45 hypotheses of 10 bits."""
    scipy_special = import_module("scipy.special")
    shapes = np.random.default_rng(0).gamma(0.5, 4.0, (45, 1024)) + 0.01

    def ratio(a: Any) -> Any:
        return np.exp(scipy_special.gammaln(a + 0.5) - scipy_special.gammaln(a))

    pairs = {
        "log_gamma": (special.log_gamma, scipy_special.gammaln),
        "digamma": (special.digamma, scipy_special.digamma),
        "exp_digamma": (special.exp_digamma, lambda a: np.exp(scipy_special.digamma(a))),
        "mean_root": (special.mean_root, ratio),
    }
    for kind in (np.float32, np.float64):
        array: Any = shapes.astype(kind)
        for name, (function, other) in pairs.items():
            ours, theirs = seconds(partial(function, array)), seconds(partial(other, array))
            times = f"{ours * 1e3:.2f} ms, scipy {theirs * 1e3:.2f} ms: {theirs / ours:.1f} times"
            print(f"{name}, {kind.__name__}: {times}")


def in_stim(circuit: Any, calibration: Any) -> Any:
    """Convert a circuit and its Pauli noise for stim, without readout errors, which differ for 0 and 1."""
    out = import_module("stim").Circuit()
    _, used, _ = census(circuit)
    for item, qubits, _, _ in steps(circuit):
        name = item.name
        if name == "barrier" or qubits[0] not in used:
            continue
        if name == "measure":
            out.append("M", qubits)
            continue
        turns = (quarter_turns(item.params[0]) or 0) if name == "rz" else 0
        gate = Z_POWERS.get(turns, "I") if name == "rz" else STIM_NAMES.get(name, name.upper())
        out.append("I" if name == "delay" else gate, qubits)
        wait = delay_seconds(item.operation, None) if name == "delay" else 0.0
        shares = pauli_shares(*channel_arguments(calibration, name, qubits, wait)).ravel()
        out.append("PAULI_CHANNEL_1" if len(qubits) == 1 else "PAULI_CHANNEL_2", qubits, shares[1:].clip(0).tolist())
    return out


def frames() -> None:
    """Time our Pauli frames and stim's: 8192 shots of GHZ states with the noise of FakeTorino."""
    torino = find_machine("fake_torino")
    backend, calibration = torino.backend, torino.calibration
    for width in WIDTHS:
        circuit = transpile(ghz(width, measured=True), backend, optimization_level=1, seed_transpiler=0)
        ours = seconds(partial(sample_clifford, [circuit], [SHOTS], calibration, dt=None, seed=1))
        build = seconds(partial(in_stim, circuit, calibration))
        sample = seconds(partial(in_stim(circuit, calibration).compile_sampler(seed=1).sample, SHOTS))
        print(f"GHZ {width}: {ours:.3f} s, stim {build + sample:.3f} s, {build:.3f} of it for its circuit and noise")


def imports() -> None:
    """Time the `import` of each library in a fresh process, minus the time of numpy."""

    def fresh(name: str) -> float:
        return seconds(partial(subprocess.run, [sys.executable, "-c", f"import numpy, {name}"], check=True), 15)

    base = fresh("numpy")
    for name in ("scipy.special", "pandas", "qcluster"):
        print(f"import {name}: {(fresh(name) - base) * 1e3:.0f} ms beyond numpy's {base * 1e3:.0f}")


def tables() -> None:
    """Time the reading of the longest table of results."""

    def rows() -> Any:
        with BARS.open(newline="", encoding="utf-8") as stream:
            return list(csv.DictReader(stream))

    reader = import_module("pandas").read_csv
    ours, theirs = seconds(rows, 3), seconds(lambda: reader(BARS), 3)
    print(f"{BARS.name}, {len(rows()):,} rows: csv {ours * 1e3:.0f} ms, pandas {theirs * 1e3:.0f} ms")


if __name__ == "__main__":
    for part in (functions, imports, tables, frames):
        part()
