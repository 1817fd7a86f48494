"""Runs for the training table of the rate model: simulated, and drawn through the noise kernels of these."""

import dataclasses
from collections.abc import Iterator, Sequence
from functools import lru_cache, reduce
from operator import add
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qcluster.bench.circuits import Case, make_case
from qcluster.bench.rate_plan import SCALES, SHOTS, Job
from qcluster.core.counts.distribution import Distribution
from qcluster.core.noise.kernel import Kernel
from qcluster.errors import QClusterError
from qcluster.learn.decision import ideals
from qcluster.learn.decision.cases import of_vector
from qcluster.learn.decision.noise import log_uniform

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

DRAWN, DRAWN_BITS = 12, 10
"""Outputs that are drawn through the noise of a run, and most bits of one."""

STRENGTHS = 0.5, 2.0
"""Least and largest noise of these, in units of that of the run."""

OWN = 0.25
"""Share of these that are the circuit's own output."""

TURNED = 1.0
"""How often states have bits turned, see `ideals.draw`: always, as in the table that ships."""

DRAWN_FAMILIES = tuple(
    name for name in ideals.FAMILIES if name not in ("clifford_t", "heisenberg", "order_finding", "loaded")
)
"""Families of the others; those left out are of circuits that benchmarks.rates judges by."""


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
    hidden: "FaultMasks | None"
    """Flip patterns of its faults as they were; `faults` where nothing has drifted. For judging, not for the model."""


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
        faults = _faults(profile, told, counts)
        hidden = _faults(profile, so, counts) if drift else faults
        yield Simulated(case, profile, told, counts, faults, SCALES[place], drift, hidden)


def redrawn(run: Simulated, seed: Sequence[int]) -> Iterator[tuple[str, Simulated]]:
    """Send other outputs through the noise of a circuit, and its own through other noise.

    Circuits are few, each kind has outputs of its own, and a simulation is dear: trees learn the circuits rather than
    the noise. So `DRAWN` outputs are read through the circuit's kernel, each at a strength and with a drift of its own:
    few strings, families of `qcluster.learn.decision.ideals`, and what the circuit itself should give.

    Args:
        run: a run of at most `DRAWN_BITS` bits whose faults can be read; of others nothing is drawn.
        seed: of everything.

    Yields:
        What kind of output was drawn, and the run with it.
    """
    n = run.counts.n_bits
    if run.case.ideal is None:
        return
    rng = np.random.default_rng(seed)
    for _ in range(drawn_of(n, known=run.faults is not None)):
        factor, drift = float(log_uniform(rng, *STRENGTHS)), bool(rng.random() < 0.5)
        told = scaled(run.calibration, factor)
        faults = _faults(run.profile, told, run.counts)
        hidden = _faults(run.profile, drifted(told, rng), run.counts) if drift else faults
        if faults is None or hidden is None:  # no calibration makes what could be read unreadable
            return
        kind, ideal = ("own", run.case.ideal) if rng.random() < OWN else _ideal(rng, n)
        if kind != "own":  # a circuit's rotations tell of its own output alone
            faults = dataclasses.replace(faults, rotations=None)
        kernel, shots = Kernel.of(hidden), int(rng.choice(SHOTS))
        noisy = np.maximum(kernel.forward(kernel.index.vector(ideal.words, ideal.probabilities)), 0.0)
        counts = of_vector(rng.multinomial(shots, noisy / noisy.sum()), n)
        case = dataclasses.replace(run.case, ideal_source=ideal)
        yield (
            kind,
            Simulated(case, run.profile, told, counts, faults, factor * run.scale, drift, hidden if drift else faults),
        )


def drawn_of(n_bits: int, *, known: bool) -> int:
    """Say how many outputs are drawn through the noise of a run of so many bits, if its fault patterns are known."""
    return DRAWN if known and 2 <= n_bits <= DRAWN_BITS else 0


def _ideal(rng: np.random.Generator, n: int) -> tuple[str, Distribution]:
    """Draw an ideal output and its kind: one in five few strings with small tails, as many without."""
    if rng.random() < 0.2:
        kind, ideal = "tailed", ideals.tailed(rng, n, TURNED)
    elif rng.random() < 0.25:
        kind, ideal = "sharp", ideals.sharp(rng, n, 0.4, 1 << (n - 1))
    else:
        kind = ideals.draw_family(rng, DRAWN_FAMILIES)
        ideal = ideals.draw(rng, n, kind, TURNED)
    return kind, of_vector(ideal / ideal.sum(), n)


def _faults(profile: "Profile", calibration: "Calibration", counts: Distribution) -> "FaultMasks | None":
    """Find the flip patterns of a simulated circuit, whose measurements are twirled, as `Run.faults` does."""
    from qcluster.device.noise.faults import fault_masks

    try:
        return fault_masks(profile.circuit, calibration, idle=False, dt=profile.dt, counts=counts).symmetrised()
    except (ValueError, QClusterError):
        return None


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
