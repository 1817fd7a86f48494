"""From circuits to a `Request`: compile, twirl, schedule, choose the simulation, divide the shots."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Literal

import numpy as np

from qcluster.device.frames import is_clifford
from qcluster.device.machine import Machine
from qcluster.device.profile import Profile, read_profile
from qcluster.device.reference import MeasuredReference, check_reusable, reference_circuit, skeleton
from qcluster.device.request import Prepared, Request
from qcluster.device.schedule import DECOUPLING, can_schedule, schedule
from qcluster.device.simulate import METHODS, choose_method, split_shots
from qcluster.device.timeline import census, steps
from qcluster.device.twirl import Twirls, twirl

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

_DISTRIBUTIONS = ("qcluster", "qiskit", "qiskit-aer", "qiskit-ibm-runtime", "numpy")


@dataclass(frozen=True)
class Options:
    """Hold how circuits are to be run; `execute` takes the same as keywords."""

    shots: int = 4096
    """Shots of each circuit, all twirls together."""
    twirls: int = 1
    """Number of random dresses that share the shots; 1 runs the circuit as it is."""
    measure_twirl: bool = True
    """Whether dresses flip measurements as well."""
    twirling: Literal["client", "server"] = "client"
    """Who twirls: we, or (on hardware) the runtime's Sampler. Never both."""
    dd: str | None = None
    """Dynamical decoupling: "XX", "XpXm", "XY4" or None."""
    optimization_level: int = 3
    """Of Qiskit's compiler, 0 to 3."""
    mode: Literal["job", "batch", "session"] = "job"
    """How jobs go to hardware."""
    simulation: str | None = None
    """Simulation method instead of the one chosen by size and structure."""
    max_circuits: int = 300
    """Most circuits (twirls counted) in one hardware job; more are split over jobs."""
    reference: bool = False
    """Whether a reference circuit runs beside the circuits, once for all that differ in angles only."""

    def __post_init__(self) -> None:
        for name in ("shots", "twirls", "max_circuits"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1; got {value!r}")
            object.__setattr__(self, name, int(value))
        if self.twirls > self.shots:
            raise ValueError(f"twirls must not exceed shots, which they share; got {self.twirls} and {self.shots}")
        if not isinstance(self.reference, (bool, np.bool_)):
            raise ValueError(f"reference must be True or False; got {self.reference!r:.60}")
        for name, known in (
            ("twirling", ("client", "server")),
            ("dd", (None, *DECOUPLING)),
            ("optimization_level", (0, 1, 2, 3)),
            ("mode", ("job", "batch", "session")),
            ("simulation", (None, *METHODS)),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(map(str, known))}; got {getattr(self, name)!r}")


def prepare(
    circuits: Sequence[QuantumCircuit],
    machine: Machine,
    options: Options,
    seed: int | np.random.Generator | None = None,
    *,
    compiled: bool = False,
    reused: MeasuredReference | None = None,
) -> Request:
    """Make circuits ready to run.

    Args:
        circuits: measured circuits with all parameters bound.
        machine: where they are to run.
        options: how.
        seed: everything random follows from it.
        compiled: whether the circuits are compiled for the machine already.
        reused: a reference measured earlier, of all the circuits' skeleton.

    Raises:
        ValueError: a circuit measures nothing, has unbound parameters, does not fit, or cannot be twirled, decoupled or
            simulated as asked.
        TypeError: circuits is not a sequence of circuits.
    """
    rng = np.random.default_rng(seed)
    root = int(seed) if isinstance(seed, (int, np.integer)) else int(rng.integers(2**31))
    rng = np.random.default_rng(root)
    _check(circuits, machine, options)
    compiler_seed, simulator_seed = (int(s) for s in rng.integers(2**31, size=2))
    ready = list(circuits) if compiled else compile_circuits(circuits, machine, options, compiler_seed)
    prepared = [
        _dress(circuit, machine, options, child) for circuit, child in zip(ready, rng.spawn(len(ready)), strict=True)
    ]
    if reused is not None:
        noted = check_reusable(reused, ready, machine.name)
        prepared = [replace(one, notes=one.notes + noted) for one in prepared]
    elif options.reference:
        prepared += _references(ready, machine, options, rng)
    now = datetime.datetime.now(datetime.UTC)
    return Request(
        id=f"qcluster-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}",
        created=now.isoformat(timespec="seconds"),
        backend=machine.name,
        kind=machine.kind,
        seed=root,
        simulator_seed=simulator_seed,
        dt=machine.backend.dt if machine.kind != "simulator" else getattr(machine.backend, "dt", None),
        options={name: getattr(options, name) for name in Options.__dataclass_fields__},
        versions=_versions(),
        calibration=machine.calibration,
        prepared=tuple(prepared),
        reused=reused,
    )


def _check(circuits: Sequence[QuantumCircuit], machine: Machine, options: Options) -> None:
    if hasattr(circuits, "num_qubits") or isinstance(circuits, str):
        raise TypeError("circuits must be a sequence of circuits; got a single one: write execute([circuit], ...)")
    for circuit in circuits:
        name = getattr(circuit, "name", None)
        if not hasattr(circuit, "num_clbits"):
            raise TypeError(f"circuits must be QuantumCircuits; got {type(circuit).__name__}")
        if circuit.parameters:
            raise ValueError(
                f"all parameters must be bound; {name!r} has {sorted(p.name for p in circuit.parameters)}: use "
                "circuit.assign_parameters(values)"
            )
        if not circuit.num_clbits or not _measures(circuit):
            raise ValueError(f"circuits must measure something; {name!r} does not: add circuit.measure_all()")
        if circuit.num_qubits > machine.backend.target.num_qubits and machine.kind != "simulator":
            raise ValueError(
                f"{name!r} needs {circuit.num_qubits} qubits; {machine.name} has {machine.backend.target.num_qubits}"
            )
        in_registers = [bit for register in circuit.cregs for bit in register]
        if machine.kind == "hardware" and in_registers != list(circuit.clbits):
            raise ValueError(
                f"on hardware every classical bit must sit in exactly one register, in order; in {name!r} some do not"
            )
    if options.twirling == "server" and machine.kind != "hardware":
        raise ValueError(f"twirling='server' needs a real machine; {machine.name} is simulated here: use 'client'")


def _measures(circuit: QuantumCircuit) -> bool:
    return any(item.name == "measure" for item, *_ in steps(circuit))


def compile_circuits(
    circuits: Sequence[QuantumCircuit], machine: Machine, options: Options, seed: int
) -> list[QuantumCircuit]:
    """Compile for a machine, around its dead qubits and couplings where the circuits fit there.

    A Clifford circuit too wide for the density matrix must stay Clifford to be simulated; the compiler's higher levels
    may hide that behind angles that cancel, so such a circuit is compiled at level 1.
    """
    compiled = _transpile(list(circuits), machine, options.optimization_level, seed)
    if machine.kind == "model" and options.simulation in (None, "stabilizer"):
        for i, circuit in enumerate(circuits):
            wide = len(census(compiled[i])[1]) > 12 or options.simulation == "stabilizer"
            if wide and not is_clifford(compiled[i]) and is_clifford(circuit):
                (compiled[i],) = _transpile([circuit], machine, min(1, options.optimization_level), seed)
    return compiled


def _transpile(circuits: list[QuantumCircuit], machine: Machine, level: int, seed: int) -> list[QuantumCircuit]:
    from qiskit.transpiler import TranspilerError, generate_preset_pass_manager

    if machine.kind == "simulator" and machine.gates is None:
        passes = generate_preset_pass_manager(level, backend=machine.backend, seed_transpiler=seed)
        return [passes.run(circuit) for circuit in circuits]
    stage = getattr(machine.backend, "get_translation_stage_plugin", lambda: None)()
    last: Exception | None = None
    for target in (machine.live, machine.backend.target):
        passes = generate_preset_pass_manager(level, target=target, translation_method=stage, seed_transpiler=seed)
        try:
            return [passes.run(circuit) for circuit in circuits]
        except TranspilerError as error:
            last = error
    raise ValueError(f"the circuits cannot be compiled for {machine.name}: {last}") from last


def _dress(circuit: QuantumCircuit, machine: Machine, options: Options, rng: np.random.Generator) -> Prepared:
    """Twirl, schedule and divide the shots of one compiled circuit."""
    twirls = Twirls((circuit,), np.zeros((1, circuit.num_clbits), dtype=bool))
    if options.twirls > 1 and options.twirling == "client":
        twirls = twirl(circuit, options.twirls, machine.gates, seed=rng, measure=options.measure_twirl)
    dressed, plain, notes = list(twirls.circuits), circuit, twirls.notes
    if machine.kind != "hardware":
        if can_schedule(circuit, machine.backend.target):
            *dressed, plain = schedule([*dressed, plain], machine.backend.target, options.dd)
        elif options.dd is not None:
            raise ValueError(f"dd={options.dd!r} needs a circuit that can be scheduled; {circuit.name!r} cannot")
        elif machine.kind == "model":
            notes += ("not scheduled (control flow, or gates of unknown length): qubits do not decohere while waiting",)
    profile = read_profile(plain, machine.calibration, dt=getattr(machine.backend, "dt", None))
    shots = split_shots(options.shots, len(dressed))
    method, note = _method(circuit, profile, machine, options)
    if machine.kind == "hardware":
        shots = [-(-options.shots // len(dressed))] * len(dressed)
    return Prepared(profile, twirls.flips, tuple(shots), method, notes + note, tuple(dressed))


def _references(
    circuits: Sequence[QuantumCircuit], machine: Machine, options: Options, rng: np.random.Generator
) -> list[Prepared]:
    """Make one reference for each skeleton, dressed as the circuits are."""
    served: dict[str, list[int]] = {}
    for i, circuit in enumerate(circuits):
        served.setdefault(skeleton(circuit), []).append(i)
    result = []
    for name, numbers in served.items():
        made = reference_circuit(circuits[numbers[0]], machine.calibration, seed=rng)
        dressed = _dress(made.circuit, machine, options, rng)
        many = f"{len(numbers)} circuit" + "s" * (len(numbers) > 1)
        notes = (f"reference of {many}, {sum(dressed.shots)} shots", *made.changes, *dressed.notes)
        result.append(replace(dressed, serves=tuple(numbers), expected=made.expected, skeleton=name, notes=notes))
    return result


def _method(
    circuit: QuantumCircuit, profile: Profile, machine: Machine, options: Options
) -> tuple[str, tuple[str, ...]]:
    if machine.kind != "model":
        return ("aer" if machine.kind == "simulator" else "hardware"), ()
    method = options.simulation or choose_method(circuit, profile)
    if method != "stabilizer":
        return method, ()
    if not is_clifford(circuit):
        raise ValueError(f"simulation='stabilizer' needs a Clifford circuit; {circuit.name!r} is not one")
    return method, ("approximation: gate and waiting noise replaced by its Pauli twirl",)


def _versions() -> dict[str, str]:
    found = {}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found
