"""From circuits to a `Request`: compile, twirl, schedule, choose the simulation, divide the shots."""

from __future__ import annotations

import datetime
import secrets
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from qcluster.core.checks import make_rng
from qcluster.core.words import many
from qcluster.device.circuits.dead import can_hold, dead_parts
from qcluster.device.circuits.profile import Profile, read_profile
from qcluster.device.circuits.schedule import can_schedule, check_delays, schedule
from qcluster.device.circuits.timeline import census, has_blocks, is_measurement, is_supported, steps
from qcluster.device.circuits.twirl import Twirls, keep_labels, layered, twirl
from qcluster.device.machines.machine import Machine, check_machine
from qcluster.device.noise.frames import is_clifford
from qcluster.device.noise.measured import MeasuredReference, check_reusable
from qcluster.device.noise.reference import reference_circuits, skeleton
from qcluster.device.noise.simulate import choose_method, split_shots
from qcluster.device.request import Options as Options
from qcluster.device.request import Prepared, Request, reference_cost, reference_shots, what_is_asked
from qcluster.device.runtime_options import served_shots
from qcluster.device.storage import dressing

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit
    from qiskit.transpiler import Target

_CHANNELS = {"kraus", "superop", "quantum_channel", "roerror"}
"""Instructions by which a circuit brings noise of its own to a simulator."""

MOST_SHOTS = 10**8
"""Most shots of one circuit on a simulator, which holds every one of them in memory."""

_DISTRIBUTIONS = ("qcluster", "qiskit", "qiskit-aer", "qiskit-ibm-runtime", "numpy")


def prepare(
    circuits: Sequence[QuantumCircuit],
    machine: Machine,
    options: Options,
    seed: int | np.random.Generator | None = None,
    *,
    compiled: bool = False,
    reused: MeasuredReference | None = None,
    kept: Sequence[MeasuredReference] = (),
) -> Request:
    """Make circuits ready to run.

    Args:
        circuits: measured circuits with all parameters bound.
        machine: where they are to run.
        options: how.
        seed: everything random follows from it.
        compiled: whether the circuits are compiled for the machine already.
        reused: a reference measured earlier, of all the circuits' skeleton.
        kept: references measured earlier, one of a skeleton, for those circuits that they fit. The others get new ones
            where the options ask for them.

    Raises:
        ValueError: a circuit measures nothing, has unbound parameters, does not fit, or cannot be twirled, decoupled or
            simulated as asked.
        TypeError: circuits is not a sequence of circuits.
    """
    given = int(seed) if isinstance(seed, (int, np.integer)) else None
    rng = make_rng(seed)
    root = int(rng.integers(2**31)) if given is None else given
    rng = np.random.default_rng(root)
    circuits = check_request(circuits, machine, options)
    compiler_seed, simulator_seed = (int(s) for s in rng.integers(2**31, size=2))
    ready = list(circuits) if compiled else compile_circuits(circuits, machine, options, compiler_seed)
    prepared = [
        _dress(circuit, machine, options, child) for circuit, child in zip(ready, rng.spawn(len(ready)), strict=True)
    ]
    fitting = {reference.skeleton: reference for reference in kept}
    earlier: dict[str, MeasuredReference] = {}
    unserved: dict[str, list[int]] = {}
    for i, name in enumerate(map(skeleton, ready) if options.reference or reused or kept else ()):
        reference = reused or fitting.get(name)
        if reference is not None:
            noted = prepared[i].notes + check_reusable(reference, ready[i].name, name, machine.name, vars(options))
            prepared[i], earlier[name] = replace(prepared[i], skeleton=name, notes=noted), reference
        elif options.reference:
            unserved.setdefault(name, []).append(i)
    prepared += _references(ready, unserved, machine, options, rng)
    now = datetime.datetime.now(datetime.UTC)
    request = Request(
        id=f"qcluster-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}",
        created=now.isoformat(timespec="seconds"),
        backend=machine.name,
        kind=machine.kind,
        seed=root,
        simulator_seed=simulator_seed,
        dt=machine.clock,
        options=dict(vars(options)),
        versions=_versions(),
        calibration=machine.calibration,
        prepared=tuple(prepared),
        reused=tuple(earlier.values()),
        asked=""
        if isinstance(seed, np.random.Generator)
        else what_is_asked(circuits, machine.name, options, given, reused),
    )
    return _note_cost(request)


def _note_cost(request: Request) -> Request:
    """Note what the references cost with each circuit that one of them serves."""
    served = {i for one in request.prepared for i in one.serves}
    if not served:
        return request
    cost = reference_cost(request)
    noted = (replace(one, notes=(*one.notes, cost)) if i in served else one for i, one in enumerate(request.prepared))
    return replace(request, prepared=tuple(noted))


def check_request(circuits: Iterable[QuantumCircuit], machine: Machine, options: Options) -> list[QuantumCircuit]:
    """Check that circuits can be asked for at all, before anything is compiled, and give them as a list.

    See `prepare` for what it raises.
    """
    if hasattr(circuits, "num_qubits") or isinstance(circuits, str):
        raise TypeError("circuits must be a sequence of circuits; got a single one: write execute([circuit], ...)")
    if not isinstance(circuits, Iterable):
        raise TypeError(f"circuits must be a sequence of circuits; got {type(circuits).__name__}")
    check_machine(machine)
    asked = list(circuits)
    for circuit in asked:
        name = getattr(circuit, "name", None)
        if not hasattr(circuit, "num_clbits"):
            cure = ": give circuit.assign_parameters(values)" if isinstance(circuit, tuple) else ""
            raise TypeError(f"circuits must be QuantumCircuits; got {type(circuit).__name__}{cure}")
        if circuit.parameters:
            raise ValueError(
                f"all parameters must be bound; {name!r} has {sorted(p.name for p in circuit.parameters)}: use "
                "circuit.assign_parameters(values)"
            )
        if not writes_bits(circuit):
            raise ValueError(f"circuits must measure something; {name!r} does not: add circuit.measure_all()")
        machine.check_width(circuit)
        check_program(circuit, machine)
        in_registers = [bit for register in circuit.cregs for bit in register]
        if machine.kind == "hardware" and in_registers != list(circuit.clbits):
            raise ValueError(
                f"on hardware every classical bit must sit in exactly one register, in order; in {name!r} some do not"
            )
    if machine.kind in {"simulator", "model"} and options.shots > MOST_SHOTS:
        raise ValueError(
            f"shots must be at most {MOST_SHOTS:,} on a simulator, which keeps each of them; got {options.shots:,}"
        )
    if options.simulation is not None and machine.kind != "model":
        which = "a real machine" if machine.kind == "hardware" else "run as it is"
        raise ValueError(f"simulation={options.simulation!r} goes with recorded machines; {machine.name} is {which}")
    if machine.session is not None and options.mode != "job":
        raise ValueError(f"mode={options.mode!r} opens a {options.mode} of its own; one that is open is given already")
    if options.twirling == "server" and machine.kind != "hardware":
        raise ValueError(f"twirling='server' needs a real machine; {machine.name} is simulated here: use 'client'")
    return asked


def check_program(circuit: QuantumCircuit, machine: Machine) -> None:
    """Refuse what cannot be run, in words: Qiskit and Aer fail on it with errors of their own, or not at all."""
    if machine.kind == "hardware":
        check_registers(circuit)
    for item, _, _, inside in steps(circuit):
        if item.name == "delay":
            with dressing(lambda said: ValueError(f"delays of {circuit.name!r} must be times: {said}")):
                unit = item.operation.unit
            if unit == "expr":
                raise ValueError(
                    f"delays must have a number for their length; in {circuit.name!r} one is an expression (a stretch)"
                )
        if machine.kind in {"hardware", "backend"}:
            continue
        if is_measurement(item.name) and item.name != "measure":
            raise ValueError(
                f"a simulation knows plain measurements only; {circuit.name!r} holds {item.name!r}: use circuit.measure"
            )
        if item.name == "store" and inside and not machine.noiseless:
            # Aer 0.18 mistakes the bits there: it stops with errors of its own, or gives wrong counts without a word.
            raise ValueError(
                f"a simulation with noise knows no store within control flow; {circuit.name!r} holds one: store "
                "outside of it, or run on a simulator without noise"
            )
        if any(scope.num_vars for scope in (circuit, *(item.operation.blocks if has_blocks(item) else ()))):
            raise ValueError(
                f"a simulation knows classical bits and registers only; {circuit.name!r} declares variables: keep "
                "their values in bits"
            )


def check_registers(circuit: QuantumCircuit) -> None:
    """Refuse names of registers by which a Sampler cannot give their bits, before it takes shots: its `DataBin` has
    methods of these names."""
    from qiskit.primitives import DataBin

    for register in circuit.cregs:
        try:
            DataBin(shape=(), **{register.name: None})
        except (TypeError, ValueError):
            raise ValueError(
                f"a Sampler's results can have no register named {register.name!r}; {circuit.name!r} has one: give it "
                "another name"
            ) from None


def writes_bits(circuit: QuantumCircuit) -> bool:
    """Tell whether a circuit measures anything, or stores into a classical bit."""
    return any(is_measurement(item.name) or item.name == "store" for item, *_ in steps(circuit))


def compile_circuits(
    circuits: Sequence[QuantumCircuit], machine: Machine, options: Options, seed: int
) -> list[QuantumCircuit]:
    """Compile for a machine, around its dead qubits and couplings where the circuits fit there.

    What is compiled for it already (`is_placed`) stays as it is: who chose qubits, gates and delays gets these.
    A Clifford circuit too wide for the density matrix must stay Clifford to be simulated; the compiler's higher levels
    may hide that behind angles that cancel, so such a circuit is compiled at level 1.
    """
    target = getattr(machine.backend, "target", None)
    placed = {i: circuit for i, circuit in enumerate(circuits) if target is not None and is_placed(circuit, target)}
    open_ = [circuit for i, circuit in enumerate(circuits) if i not in placed]
    for circuit in open_ if target is not None else ():
        check_delays(circuit, target)
    made = iter(transpile_for(open_, machine, options.optimization_level, seed))
    compiled = [placed[i] if i in placed else next(made) for i in range(len(circuits))]
    if machine.kind == "model" and options.simulation in (None, "stabilizer"):
        for i, circuit in enumerate(circuits):
            wide = len(census(compiled[i])[1]) > 12 or options.simulation == "stabilizer"
            if wide and not is_clifford(compiled[i]) and is_clifford(circuit):
                (compiled[i],) = transpile_for([circuit], machine, min(1, options.optimization_level), seed)
    return compiled


def is_placed(circuit: QuantumCircuit, target: Target) -> bool:
    """Tell whether a compiler laid a circuit out on all qubits of a target, in operations that these have."""
    return circuit.layout is not None and circuit.num_qubits == target.num_qubits and is_supported(circuit, target)


def transpile_for(circuits: list[QuantumCircuit], machine: Machine, level: int, seed: int) -> list[QuantumCircuit]:
    """Compile circuits for a machine: on what is alive of it where they fit there, else on all of it.

    Raises:
        ValueError: one cannot be compiled for it, such as one that is too wide.
    """
    from qiskit.transpiler import generate_preset_pass_manager

    if machine.kind == "simulator" and machine.gates is None:
        with _compiling(machine):
            passes = generate_preset_pass_manager(level, backend=machine.backend, seed_transpiler=seed)
            return [passes.run(circuit) for circuit in circuits]
    stage = getattr(machine.backend, "get_translation_stage_plugin", lambda: None)()

    @cache
    def passes_for(living: bool) -> Any:
        target = machine.live if living else machine.backend.target
        return generate_preset_pass_manager(level, target=target, translation_method=stage, seed_transpiler=seed)

    compiled = []
    for circuit in circuits:
        if machine.live is not machine.backend.target and can_hold(machine.live, circuit):
            with suppress(ValueError), _compiling(machine):
                compiled.append(wrap_angles(passes_for(True).run(circuit), machine.backend.target))
                continue
        with _compiling(machine):
            compiled.append(passes_for(False).run(circuit))
    return compiled


def wrap_angles(circuit: QuantumCircuit, target: Target | None) -> QuantumCircuit:
    """Bring angles into those that the gates of a machine take: fractional rzz turns by 0 to pi/2.

    The compiler does so, but of angles that are numbers then, and for a target that tells: not for one without its
    dead parts, since a target does not give its bounds to be copied.
    """
    from qiskit.transpiler import PassManager
    from qiskit.transpiler.passes import WrapAngles

    if target is None or not target.has_angle_bounds():
        return circuit
    wrapped: QuantumCircuit = PassManager([WrapAngles(target)]).run(circuit)
    keep_labels(circuit, wrapped)
    return wrapped


def _compiling(machine: Machine) -> AbstractContextManager[None]:
    return dressing(lambda said: ValueError(f"the circuit cannot be compiled for {machine.name}: {said}"))


def _dress(circuit: QuantumCircuit, machine: Machine, options: Options, rng: np.random.Generator) -> Prepared:
    """Twirl, schedule and divide the shots of one compiled circuit."""
    twirls, plain = Twirls((circuit,), np.zeros((1, circuit.num_clbits), dtype=bool)), circuit
    if options.twirls > 1 and options.twirling == "client":
        twirls = twirl(
            circuit,
            options.twirls,
            machine.gates,
            seed=rng,
            measure=options.measure_twirl,
            group=options.group,  # type: ignore[arg-type]
            strategy=options.strategy or "active",
        )
        plain = layered(circuit, machine.gates, options.strategy or "active")
    dressed, notes = list(twirls.circuits), twirls.notes
    if machine.kind != "hardware" and (machine.kind != "backend" or options.dd is not None):
        if can_schedule(circuit, machine.backend.target):
            *dressed, plain = schedule([*dressed, plain], machine.backend.target, options.dd)
        elif options.dd is not None:
            raise ValueError(f"dd={options.dd!r} needs a circuit that can be scheduled; {circuit.name!r} cannot")
        elif machine.kind == "model" and not machine.noiseless:
            notes += ("not scheduled (control flow, or gates of unknown length): qubits do not decohere while waiting",)
    profile = read_profile(plain, machine.calibration, dt=machine.clock)
    noiseless = machine.noiseless and not any(item.name in _CHANNELS for item, *_ in steps(circuit))
    notes += _unused(options, machine)
    if not machine.noiseless:
        notes += _note_dead(circuit, dead_parts(profile, machine.calibration), machine)
    shots = split_shots(options.shots, len(dressed))
    method, note = _method(circuit, profile, machine, options)
    if machine.kind == "hardware":
        shots = [-(-options.shots // len(dressed))] * len(dressed)
    return Prepared(profile, twirls.flips, tuple(shots), method, notes + note, tuple(dressed), noiseless)


def _unused(options: Options, machine: Machine) -> tuple[str, ...]:
    """Note the options that were given and change nothing."""
    notes: tuple[str, ...] = ()
    if machine.kind != "hardware":
        if options.runtime:
            notes += (f"runtime options are for IBM's machines and not used: {', '.join(sorted(options.runtime))}",)
        for name in ("mode", "max_circuits"):
            if (value := getattr(options, name)) != getattr(Options, name):
                notes += (f"{name}={value!r} is for IBM's machines and not used",)
    if options.twirls == 1 and "twirling" not in options.runtime:
        given = {name: getattr(options, name) != getattr(Options, name) for name in ("group", "strategy", "twirling")}
        notes += tuple(f"{name} is of twirls, and there are none with twirls=1" for name, used in given.items() if used)
    return notes


def _note_dead(circuit: QuantumCircuit, dead: tuple[str, ...], machine: Machine) -> tuple[str, ...]:
    """Note the dead parts that a compiled circuit uses, and warn of them."""
    if not dead:
        return ()
    note = f"uses what {machine.name} publishes as dead, whose results are noise: {', '.join(dead)}"
    warnings.warn(f"circuit {circuit.name!r} {note}", RuntimeWarning, stacklevel=2)
    return (note,)


def _references(
    circuits: Sequence[QuantumCircuit],
    served: Mapping[str, list[int]],
    machine: Machine,
    options: Options,
    rng: np.random.Generator,
) -> list[Prepared]:
    """Make the references of each skeleton, one or more, dressed as the circuits are that they serve."""
    shared = replace(options, shots=reference_shots(options))
    result = []
    for name, numbers in served.items():
        circuit, number = circuits[numbers[0]], int(options.reference)
        for made in reference_circuits(circuit, number, machine.calibration, seed=rng, dt=machine.clock):
            dressed = _dress(made.circuit, machine, shared, rng)
            seen = () if made.visible is None else (f"sees {made.visible:.0%} of the faults that matter",)
            taken = served_shots(vars(shared)) or sum(dressed.shots)
            paid = f"reference of {many(len(numbers), 'circuit')}, {many(taken, 'shot')}"
            notes = (paid, *seen, *made.changes, *dressed.notes)
            result.append(replace(dressed, serves=tuple(numbers), expected=made.expected, skeleton=name, notes=notes))
    return result


def _method(
    circuit: QuantumCircuit, profile: Profile, machine: Machine, options: Options
) -> tuple[str, tuple[str, ...]]:
    if machine.kind != "model":
        return ("aer" if machine.kind == "simulator" else machine.kind), ()
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
