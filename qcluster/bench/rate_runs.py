"""Runs for the training table of the rate model: simulated, or drawn through the noise kernels of simulated runs."""

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
"""Clifford circuits with more active qubits are sampled, smaller ones are simulated with the density matrix."""

DRIFT = {"errors_2q": (1.5, 0.4), "errors_1q": (1.1, 0.4), "readout": (1.0, 0.35), "t1": (0.9, 0.3), "t2": (0.4, 0.5)}
"""How far a machine has drifted from its calibration: median and logarithmic width of the factors on its figures.
Two-qubit errors are larger than published because gates run in parallel (layer fidelity, arXiv:2311.05933). T2 of idle
qubits is shorter than the published echo of an isolated qubit, because neighbours shift the phase; decoupling undoes
part of that (arXiv:2108.04530). The rest is day-to-day scatter."""

DRAWN, DRAWN_BITS = 12, 10
"""Number of outputs drawn through the noise of each run, and largest number of bits of such a run."""

STRENGTHS = 0.5, 2.0
"""Smallest and largest noise of drawn outputs, relative to the noise of the run."""

OWN_SHARE = 0.25
"""Probability that a drawn output is the circuit's own ideal output."""

FLIPPED = 1.0
"""Probability that random bits of a state are flipped, see `ideals.draw`: always, as in the shipped table."""

DRAWN_FAMILIES = tuple(
    name for name in ideals.FAMILIES if name not in ("clifford_t", "heisenberg", "order_finding", "loaded")
)
"""Families of other drawn outputs, without those of the circuits that benchmarks.rates uses for testing."""


class Simulated(NamedTuple):
    """A simulated run, with what the model knows about it."""

    case: Case
    """The circuit and its ideal output."""
    profile: "Profile"
    """The compiled and scheduled circuit."""
    calibration: "Calibration"
    """The published calibration."""
    counts: Distribution
    """What was read."""
    faults: "FaultMasks | None"
    """Flip patterns of the circuit's faults under the published calibration; None where they cannot be determined."""
    scale: float
    """The published noise as a multiple of the recorded machine's."""
    drift: bool
    """Whether the simulated machine has drifted from the published calibration."""
    hidden: "FaultMasks | None"
    """Flip patterns of the actual faults; `faults` without drift. For testing only, not for the model."""


def simulate_runs(job: Job, case: Case | None = None) -> Iterator[Simulated]:
    """Compile, twirl, schedule and simulate a circuit at several strengths of noise.

    The model knows the recorded calibration times a scale. Half of the simulations use exactly this; the others use
    figures that have drifted from it by `DRIFT`, drawn anew for each row. A given case replaces that of the job.
    Scheduling is necessary: idle qubits decohere, and without it the rates of wide circuits would be far too low.
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
        published = scaled(machine.calibration, SCALES[place])
        shots, seed, drift = split_shots(job.shots, len(circuits)), int(rng.integers(2**31)), bool(rng.random() < 0.5)
        actual = drifted(published, rng) if drift else published
        read = simulate(circuits, shots, actual, method=method, dt=target.dt, seed=seed)
        counts = reduce(add, twirls.undo(read))
        faults = _faults(profile, published, counts)
        hidden = _faults(profile, actual, counts) if drift else faults
        yield Simulated(case, profile, published, counts, faults, SCALES[place], drift, hidden)


def redrawn(run: Simulated, seed: Sequence[int]) -> Iterator[tuple[str, Simulated]]:
    """Send other outputs through the noise of a circuit, and its own output through other noise.

    There are few circuits, each kind has its typical outputs, and simulations are expensive; trees would learn the
    circuits rather than the noise. Therefore `DRAWN` outputs are read through the circuit's kernel, each with its own
    strength of noise and drift: few strings, families of `qcluster.learn.decision.ideals`, and the circuit's own ideal
    output.

    Args:
        run: a run of at most `DRAWN_BITS` bits with known faults; for others nothing is drawn.
        seed: seed of all random choices.

    Yields:
        The kind of output, and the run with this output.
    """
    n = run.counts.n_bits
    if run.case.ideal is None:
        return
    rng = np.random.default_rng(seed)
    for _ in range(n_drawn(n, known=run.faults is not None)):
        factor, drift = float(log_uniform(rng, *STRENGTHS)), bool(rng.random() < 0.5)
        published = scaled(run.calibration, factor)
        faults = _faults(run.profile, published, run.counts)
        hidden = _faults(run.profile, drifted(published, rng), run.counts) if drift else faults
        if faults is None or hidden is None:  # does not happen: whether faults can be read does not depend on figures
            return
        kind, ideal = ("own", run.case.ideal) if rng.random() < OWN_SHARE else _ideal(rng, n)
        if kind != "own":  # the circuit's rotations describe only its own output
            faults = dataclasses.replace(faults, rotations=None, last_rotations=None)
        kernel, shots = Kernel.of(hidden), int(rng.choice(SHOTS))
        noisy = np.maximum(kernel.forward(kernel.index.vector(ideal.words, ideal.probabilities)), 0.0)
        counts = of_vector(rng.multinomial(shots, noisy / noisy.sum()), n)
        case = dataclasses.replace(run.case, ideal_source=ideal)
        yield (
            kind,
            Simulated(
                case, run.profile, published, counts, faults, factor * run.scale, drift, hidden if drift else faults
            ),
        )


def n_drawn(n_bits: int, *, known: bool) -> int:
    """Return the number of outputs to draw through the noise of a run of `n_bits`, if its faults are known."""
    return DRAWN if known and 2 <= n_bits <= DRAWN_BITS else 0


def _ideal(rng: np.random.Generator, n: int) -> tuple[str, Distribution]:
    """Draw an ideal output and its kind: one in five is few strings with small tails, one in five without tails."""
    if rng.random() < 0.2:
        kind, ideal = "tailed", ideals.tailed(rng, n, FLIPPED)
    elif rng.random() < 0.25:
        kind, ideal = "sharp", ideals.sharp(rng, n, 0.4, 1 << (n - 1))
    else:
        kind = ideals.draw_family(rng, DRAWN_FAMILIES)
        ideal = ideals.draw(rng, n, kind, FLIPPED)
    return kind, of_vector(ideal / ideal.sum(), n)


def _faults(profile: "Profile", calibration: "Calibration", counts: Distribution) -> "FaultMasks | None":
    """Return the flip patterns of a simulated circuit with twirled measurements, as `Run.faults` does."""
    from qcluster.device.noise.faults import fault_masks

    try:
        return fault_masks(profile.circuit, calibration, idle=False, dt=profile.dt, counts=counts).symmetrised()
    except (ValueError, QClusterError):
        return None


def scaled(calibration: "Calibration", scale: float) -> "Calibration":
    """Scale the noise of a machine: errors are multiplied by the scale, T1 and T2 divided by it."""
    return _with(
        calibration, {**dict.fromkeys(("errors_2q", "errors_1q", "readout"), scale), "t1": 1 / scale, "t2": 1 / scale}
    )


def drifted(calibration: "Calibration", rng: np.random.Generator) -> "Calibration":
    """Let a machine drift from its calibration: a common factor for each kind of figure, and one for each place."""
    factors = {}
    for name, (median, width) in DRIFT.items():
        whole = median * np.exp(width * rng.standard_normal())
        factors[name] = whole * np.exp(width * rng.standard_normal(getattr(calibration, name).shape))
    return _with(calibration, factors)


def _with(calibration: "Calibration", factors: dict[str, Any]) -> "Calibration":
    figures = {name: getattr(calibration, name) * factor for name, factor in factors.items()}
    for name in ("errors_2q", "errors_1q"):
        old = getattr(calibration, name)
        figures[name] = np.where(old >= 1, old, np.minimum(figures[name], 0.7))
    figures["readout"] = np.minimum(figures["readout"], 0.45)
    figures["t2"] = np.minimum(figures["t2"], 2 * figures["t1"])
    return dataclasses.replace(calibration, **figures)


@lru_cache(maxsize=32)
def _machine(name: str) -> Any:
    from qcluster.device.machines.machine import find_machine

    return find_machine(name)


def _compile(circuit: Any, machine: Any, layout: int, seed: int) -> Any:
    from qiskit.transpiler import generate_preset_pass_manager

    from qcluster.device.noise.frames import is_clifford

    places = _region(machine, circuit.num_qubits, layout) if layout else None

    def compile_at(level: int) -> Any:
        return generate_preset_pass_manager(
            optimization_level=level, target=machine.live, initial_layout=places, seed_transpiler=seed
        ).run(circuit)

    compiled = compile_at(3 if places is None else 2)
    wide = circuit.num_qubits > NARROW and not is_clifford(compiled) and is_clifford(circuit)
    return compile_at(1) if wide else compiled  # higher levels may hide a Clifford circuit behind angles that cancel


def _region(machine: Any, width: int, layout: int) -> list[int]:
    """Choose connected, working qubits around a random one, nearest first."""
    rng = np.random.default_rng(layout)
    calibration = machine.calibration
    live = calibration.couplings[~calibration.dead_couplings]
    live = live[~calibration.dead_qubits[live].any(axis=1)]
    neighbours: dict[int, list[int]] = {}
    for a, b in live.tolist():
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    while True:
        region = [int(rng.choice(sorted(neighbours)))]
        for qubit in region:
            region += [other for other in sorted(set(neighbours[qubit])) if other not in region]
        if len(region) >= width:
            return region[:width]
