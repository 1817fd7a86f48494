"""Build the training table of the rate model by simulating benchmark circuits on recorded machines.

It lives here and not in `qcluster.learn`, because it needs circuits and the device room, which learn may not import.
"""

import dataclasses
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache, reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qcluster.bench.campaign import Progress
from qcluster.bench.circuits import Case, make_case
from qcluster.bench.rate_plan import MACHINES, SCALES, Job
from qcluster.bench.table import Table, alone
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.metrics import entropy
from qcluster.errors import QClusterError, of_extra
from qcluster.learn.features import features
from qcluster.learn.label import effective_rate, saturated
from qcluster.learn.table import TABLE_COLUMNS, format_row
from qcluster.workers import parallel

if TYPE_CHECKING:
    from qcluster.core.noise.faults import FaultMasks
    from qcluster.device.circuits.profile import Profile
    from qcluster.device.machines.calibration import Calibration

NARROW = 8
"""Most active qubits for which a Clifford circuit is run with the density matrix rather than sampled."""

DRIFT = {"errors_2q": (1.5, 0.4), "errors_1q": (1.1, 0.4), "readout": (1.0, 0.35), "t1": (0.9, 0.3), "t2": (0.4, 0.5)}
"""How far a machine is from its calibration when a row is made: median and log-width of the factors on its figures.
Two-qubit errors are larger than published because gates run side by side (layer fidelity, arXiv:2311.05933). T2 while
waiting is shorter than the published echo of a qubit alone, because neighbours shift the phase, and decoupling undoes
part of that (arXiv:2108.04530). The rest scatters by the day."""


def build(jobs: Iterable[Job], folder: str | Path, *, workers: int = 1, dask: str | None = None) -> Iterator[Progress]:
    """Run the jobs that are not done, and append their rows to ``rates.csv`` in a folder.

    A job that fails is reported and left for the next run. What a kill interrupts is lost, and nothing else.

    Args:
        jobs: see `plan`.
        folder: where the table goes; a job is done when the table has rows of it.
        workers: processes on this machine, by joblib; 1 runs in this process.
        dask: address of a Dask scheduler whose workers have this package.

    Yields:
        A Progress at the start and after each job.

    Raises:
        StorageError: the folder cannot be written to.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder / "rates.csv"):
        table = Table(folder / "rates.csv", TABLE_COLUMNS)
        done = {(row["circuit"], row["machine"], row["layout"], row["seed"]) for row in table.rows()}
        every = list(jobs)
        left = [job for job in every if job.mark not in done]
        start, count = time.monotonic(), len(every) - len(left)
        yield Progress(count, len(every), "", float("nan"))
        for tried, (job, rows, error) in enumerate(_outcomes(left, workers, dask), 1):
            if not error:
                table.append(rows)
                count += 1
            ahead = (time.monotonic() - start) / tried * (len(left) - tried)
            yield Progress(count, len(every), str(job), ahead, error)


Outcome = tuple[Job, list[dict[str, object]], str]


def _outcomes(jobs: list[Job], workers: int, dask: str | None) -> Iterable[Outcome]:
    if dask is not None:
        return _on_dask(jobs, dask)
    if workers > 1:
        from joblib import delayed

        pool = parallel(workers, return_as="generator_unordered", batch_size=1)
        found: Iterable[Outcome] = pool(delayed(_safely)(job) for job in jobs)
        return found
    return (_safely(job) for job in jobs)


def _on_dask(jobs: list[Job], address: str) -> Iterator[Outcome]:
    with of_extra("bench"):
        from distributed import Client, as_completed

    with Client(address, timeout="20s") as client:
        for future in as_completed(client.map(_safely, jobs, pure=False)):
            yield future.result()
            future.release()


def _safely(job: Job) -> Outcome:
    try:
        return job, simulate_job(job), ""
    except Exception as error:
        return job, [], f"{type(error).__name__}: {error}"


class Simulated(NamedTuple):
    """A simulated run, and what the model is told of it."""

    case: Case
    """The circuit and its ideal output."""
    profile: "Profile"
    """The compiled and scheduled circuit."""
    calibration: "Calibration"
    """What the machine publishes."""
    counts: Distribution
    """What was read."""
    faults: "FaultMasks | None"
    """Flip patterns of its faults as published; None where the circuit cannot be read."""
    scale: float
    """The published noise as a multiple of the recorded machine's."""
    drift: bool
    """Whether the machine that ran has drifted from what it publishes."""


def simulate_runs(job: Job, case: Case | None = None) -> Iterator[Simulated]:
    """Compile, twirl, schedule and simulate a circuit under several strengths of noise.

    The model is told the calibration times a scale. Half of the simulations run with just that, the others with figures
    that have drifted from it by `DRIFT`, anew for each row. A case of one's own stands in for that of the job.
    Scheduling is not optional: idle qubits decohere, and without that the rates of wide circuits come out far too low.
    """
    from qcluster.device.circuits.profile import read_profile
    from qcluster.device.circuits.schedule import schedule
    from qcluster.device.circuits.twirl import twirl
    from qcluster.device.noise.frames import is_clifford
    from qcluster.device.noise.simulate import choose_method, simulate, split_shots

    rng = np.random.default_rng(job.seed)
    machine, case = _machine(job.machine), case or make_case(job.case)
    target = machine.live
    isa = _compile(case.circuit, machine, job.layout, int(rng.integers(2**31)))
    profile = read_profile(schedule([isa], target)[0], machine.calibration, dt=target.dt)
    twirls = twirl(isa, 2, target, seed=rng)
    circuits = schedule(twirls.circuits, target)
    method = "stabilizer" if len(profile.active) > NARROW and is_clifford(isa) else choose_method(isa, profile)
    for place in np.tile(rng.permutation(len(SCALES)), 2)[: job.rows].tolist():
        told = scaled(machine.calibration, SCALES[place])
        shots, seed, drift = split_shots(job.shots, len(circuits)), int(rng.integers(2**31)), bool(rng.random() < 0.5)
        so = drifted(told, rng) if drift else told
        read = simulate(circuits, shots, so, method=method, dt=target.dt, seed=seed)
        counts = reduce(add, twirls.undo(read))
        yield Simulated(case, profile, told, counts, _faults(profile, told, counts), SCALES[place], drift)


def _faults(profile: "Profile", calibration: "Calibration", counts: Distribution) -> "FaultMasks | None":
    """Find the flip patterns of a simulated circuit, whose measurements are twirled, as `Run.faults` does."""
    from qcluster.device.noise.faults import fault_masks

    try:
        return fault_masks(profile.circuit, calibration, idle=False, dt=profile.dt, counts=counts).symmetrised()
    except (ValueError, QClusterError):
        return None


def simulate_job(job: Job) -> list[dict[str, object]]:
    """Make the rows of one job."""
    generation = next((name for name, machines in MACHINES.items() if job.machine in machines), "")
    rows = []
    for run in simulate_runs(job):
        facts = {
            "circuit": run.case.name,
            "family": run.case.family,
            "machine": job.machine,
            "generation": generation,
            "snapshot": run.calibration.date[:10],
            "scale": run.scale,
            "drift": int(run.drift),
            "layout": job.layout,
            "seed": job.seed,
        } | target(run.counts, run.case.ideal)
        row = features(run.profile, run.calibration, run.counts, run.faults)
        rows.append(format_row(row, effective_rate(run.counts, run.case.ideal), facts))
    return rows


def target(counts: Distribution, ideal: Distribution | None) -> dict[str, object]:
    """Give the facts of a row that only who knows the ideal output can tell; empty where it is not known."""
    if ideal is None:
        return {}
    return {
        "ideal_entropy": f"{entropy(ideal, normalised=True):.4g}",
        "saturated": int(saturated(counts, ideal)),
    }


@lru_cache(maxsize=32)
def _machine(name: str) -> Any:
    from qcluster.device.machines.machine import find_machine

    return find_machine(name)


def _compile(circuit: Any, machine: Any, layout: int, seed: int) -> Any:
    from qiskit.transpiler import generate_preset_pass_manager

    from qcluster.device.noise.frames import is_clifford

    places = _region(machine, circuit.num_qubits, layout) if layout else None

    def at(level: int) -> Any:
        return generate_preset_pass_manager(
            optimization_level=level, target=machine.live, initial_layout=places, seed_transpiler=seed
        ).run(circuit)

    compiled = at(3 if places is None else 2)
    wide = circuit.num_qubits > NARROW and not is_clifford(compiled) and is_clifford(circuit)
    return at(1) if wide else compiled  # higher levels may hide a Clifford circuit behind angles that cancel


def _region(machine: Any, width: int, layout: int) -> list[int]:
    """Choose qubits that are live and connected, around a random one, nearest first."""
    rng = np.random.default_rng(layout)
    calibration = machine.calibration
    live = calibration.couplings[~calibration.dead_couplings]
    live = live[~calibration.dead_qubits[live].any(axis=1)]
    near: dict[int, list[int]] = {}
    for a, b in live.tolist():
        near.setdefault(a, []).append(b)
        near.setdefault(b, []).append(a)
    while True:
        found = [int(rng.choice(sorted(near)))]
        for qubit in found:
            found += [other for other in sorted(set(near[qubit])) if other not in found]
        if len(found) >= width:
            return found[:width]


def scaled(calibration: "Calibration", scale: float) -> "Calibration":
    """Make a machine uniformly worse (scale > 1) or better: errors times the scale, times T1 and T2 over it."""
    return _with(
        calibration, {**dict.fromkeys(("errors_2q", "errors_1q", "readout"), scale), "t1": 1 / scale, "t2": 1 / scale}
    )


def drifted(calibration: "Calibration", rng: np.random.Generator) -> "Calibration":
    """Move a machine away from its calibration: a factor for each kind of figure, and one for each place."""
    factors = {}
    for name, (median, width) in DRIFT.items():
        whole = median * np.exp(width * rng.standard_normal())
        factors[name] = whole * np.exp(width * rng.standard_normal(getattr(calibration, name).shape))
    return _with(calibration, factors)


def _with(calibration: "Calibration", factors: dict[str, Any]) -> "Calibration":
    made = {name: getattr(calibration, name) * factor for name, factor in factors.items()}
    for name in ("errors_2q", "errors_1q"):
        old = getattr(calibration, name)
        made[name] = np.where(old >= 1, old, np.minimum(made[name], 0.7))
    made["readout"] = np.minimum(made["readout"], 0.45)
    made["t2"] = np.minimum(made["t2"], 2 * made["t1"])
    return dataclasses.replace(calibration, **made)


def add_runs(folder: str | Path, path: str | Path) -> tuple[int, int, int]:
    """Append the runs of a campaign's folder, of which the ideal output is known, to a table of rates.

    Returns:
        How many rows were added, how many of these lack columns, for want of a circuit or a calibration, and how many
        runs were left out: there already, without counts, or with an ideal that is not known.

    Raises:
        StorageError: the folder or the table cannot be read or written, or another process is writing to the table.
    """
    with alone(Path(path)):
        return _add_runs(folder, Path(path))


def _add_runs(folder: str | Path, path: Path) -> tuple[int, int, int]:
    from qcluster.bench.store import load_samples

    table = Table(path, TABLE_COLUMNS)
    there = {row["seed"] for row in table.rows()}
    rows, partly, skipped = [], 0, 0
    for sample in load_samples(folder):
        if sample.identity in there or sample.ideal is None or not sample.counts.n_outcomes:
            skipped += 1
            continue
        facts = {
            "circuit": sample.case,
            "family": sample.family,
            "machine": sample.machine,
            "snapshot": "" if sample.calibration is None else sample.calibration.date[:10],
            "seed": sample.identity,
        } | target(sample.counts, sample.ideal)
        row = features(
            sample.profile, sample.calibration, sample.counts, None if sample.run is None else sample.run.faults
        )
        partly += bool(np.isnan(row).any())
        rows.append(format_row(row, effective_rate(sample.counts, sample.ideal), facts))
    if rows:
        table.append(rows)
    return len(rows), partly, skipped
