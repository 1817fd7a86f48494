"""From circuits to a `Request`: compile, twirl, schedule, choose the simulation method, divide the shots."""

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
from qcluster.core.words import plural
from qcluster.device.circuits.dead import can_hold, dead_parts
from qcluster.device.circuits.profile import Profile, read_profile
from qcluster.device.circuits.schedule import can_schedule, check_delays, schedule
from qcluster.device.circuits.timeline import census, has_blocks, is_measurement, is_supported, steps
from qcluster.device.circuits.twirl import Twirls, keep_labels, twirl, with_layer_barriers
from qcluster.device.machines.machine import Machine, check_machine
from qcluster.device.noise.frames import is_clifford
from qcluster.device.noise.measured import MeasuredReference, check_reusable
from qcluster.device.noise.reference import reference_circuits, skeleton
from qcluster.device.noise.simulate import choose_method, split_shots
from qcluster.device.request import Options as Options
from qcluster.device.request import Prepared, Request, reference_cost, reference_shots, request_digest
from qcluster.device.runtime_options import check_sampler, served_shots
from qcluster.device.storage import replacing_errors

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit
    from qiskit.transpiler import Target

_CHANNELS = {"kraus", "superop", "quantum_channel", "roerror"}
"""Instructions by which a circuit itself contains noise for a simulator."""

MOST_SHOTS = 10**8
"""Most shots of one circuit on a simulator, which holds every shot in memory."""

_PACKAGES = ("qcluster", "qiskit", "qiskit-aer", "qiskit-ibm-runtime", "numpy")
"""Packages whose versions a request records."""

_PLACED_ANEW = (
    "compiled, since it has no layout: if its qubits are those of the machine, give it one by "
    "transpile(circuit, backend, initial_layout=range(circuit.num_qubits), optimization_level=0)"
)
"""Note on a circuit that may have been compiled before."""


def prepare(
    circuits: Sequence[QuantumCircuit],
    machine: Machine,
    options: Options,
    seed: int | np.random.Generator | None = None,
    *,
    compiled: bool = False,
    reused: Sequence[MeasuredReference] = (),
    kept: Sequence[MeasuredReference] = (),
) -> Request:
    """Make circuits ready to run: compile them, twirl them, and add reference circuits.

    Args:
        circuits: measured circuits with all parameters bound.
        machine: the machine to run them on.
        options: how to run them.
        seed: seed of everything random: compiler, twirls, references and simulation.
        compiled: whether the circuits are already compiled for the machine.
        reused: references measured earlier, at most one per skeleton (see `skeleton`); one must serve each circuit.
        kept: references measured earlier, at most one per skeleton. Each serves the circuits of its skeleton; the other
            circuits get new references if the options ask for them.

    Returns:
        The request, with one `Prepared` per circuit, followed by one per new reference.

    Raises:
        ValueError: a circuit measures nothing, has unbound parameters, does not fit the machine, or cannot be twirled,
            decoupled or simulated as asked.
        TypeError: circuits is not a sequence of circuits.
    """
    fixed_seed = int(seed) if isinstance(seed, (int, np.integer)) else None
    rng = make_rng(seed)
    root = int(rng.integers(2**31)) if fixed_seed is None else fixed_seed
    rng = np.random.default_rng(root)
    circuits = check_request(circuits, machine, options)
    compiler_seed, simulator_seed = (int(s) for s in rng.integers(2**31, size=2))
    ready = list(circuits) if compiled else compile_circuits(circuits, machine, options, compiler_seed)
    prepared = [
        _prepare_one(circuit, machine, options, child)
        for circuit, child in zip(ready, rng.spawn(len(ready)), strict=True)
    ]
    if not compiled:
        prepared = note_placed_anew(prepared, circuits, machine)
    by_skeleton = {reference.skeleton: reference for reference in (*kept, *reused)}
    earlier: dict[str, MeasuredReference] = {}
    unserved: dict[str, list[int]] = {}
    for i, name in enumerate(map(skeleton, ready) if options.reference or reused or kept else ()):
        reference = by_skeleton.get(name, reused[0] if reused else None)  # one that does not fit is refused below
        if reference is not None:
            notes = prepared[i].notes + check_reusable(reference, ready[i].name, name, machine.name, vars(options))
            prepared[i], earlier[name] = replace(prepared[i], skeleton=name, notes=notes), reference
        elif options.reference:
            unserved.setdefault(name, []).append(i)
    prepared += _prepare_references(ready, unserved, machine, options, rng)
    now = datetime.datetime.now(datetime.UTC)
    request = Request(
        id=f"qcluster-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}",
        created=now.isoformat(timespec="seconds"),
        backend=machine.name,
        instance=machine.instance,
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
        else request_digest(circuits, machine.name, options, fixed_seed, reused),
    )
    return _note_cost(request)


def _note_cost(request: Request) -> Request:
    """Add the cost of the references to the notes of each circuit that a reference serves."""
    served = {i for prepared in request.prepared for i in prepared.serves}
    if not served:
        return request
    cost = reference_cost(request)
    noted = (replace(p, notes=(*p.notes, cost)) if i in served else p for i, p in enumerate(request.prepared))
    return replace(request, prepared=tuple(noted))


def check_request(circuits: Iterable[QuantumCircuit], machine: Machine, options: Options) -> list[QuantumCircuit]:
    """Check, before anything is compiled, that a machine can run circuits with these options.

    Returns:
        The circuits as a list.

    Raises:
        ValueError, TypeError: as `prepare` does.
    """
    if hasattr(circuits, "num_qubits") or isinstance(circuits, str):
        raise TypeError("circuits must be a sequence of circuits; got a single one: write execute([circuit], ...)")
    if not isinstance(circuits, Iterable):
        raise TypeError(f"circuits must be a sequence of circuits; got {type(circuits).__name__}")
    check_machine(machine)
    checked = list(circuits)
    for circuit in checked:
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
        check_program(circuit, machine)
        in_registers = [bit for register in circuit.cregs for bit in register]
        if machine.kind == "hardware" and in_registers != list(circuit.clbits):
            raise ValueError(
                f"on hardware every classical bit must sit in exactly one register, in order; in {name!r} some do not"
            )
    for name, number in (("shots", options.shots), ("shots times reference_share", reference_shots(options))):
        if machine.kind in {"simulator", "model"} and number > MOST_SHOTS:
            raise ValueError(
                f"{name} must be at most {MOST_SHOTS:,} on a simulator, which keeps each of them; got {number:,}"
            )
    if options.simulation is not None and machine.kind != "model":
        which = "a real machine" if machine.kind == "hardware" else "run as it is"
        raise ValueError(f"simulation={options.simulation!r} goes with recorded machines; {machine.name} is {which}")
    if machine.session is not None and options.mode != "job":
        raise ValueError(f"mode={options.mode!r} would open a new {options.mode}; an open one was given as backend")
    if options.twirling == "server" and machine.kind != "hardware":
        raise ValueError(f"twirling='server' needs a real machine; {machine.name} is simulated here: use 'client'")
    return checked


def check_program(circuit: QuantumCircuit, machine: Machine) -> None:
    """Refuse a circuit that the machine cannot run, with a clear ValueError.

    Qiskit and Aer would raise obscure errors for such a circuit, or run it wrongly.
    """
    machine.check_width(circuit)
    if machine.kind == "hardware":
        check_registers(circuit)
        check_metadata(circuit)
    for item, *_ in steps(circuit):
        if item.name == "delay":
            with replacing_errors(lambda said: ValueError(f"delays of {circuit.name!r} must be times: {said}")):
                unit = item.operation.unit
            if unit == "expr":
                raise ValueError(
                    f"delays must have a number for their length; in {circuit.name!r} one is an expression (a stretch)"
                )
        if machine.kind in {"hardware", "backend"}:
            continue
        if is_measurement(item.name) and item.name != "measure":
            raise ValueError(
                f"a simulation supports plain measurements only; {circuit.name!r} holds {item.name!r}: use "
                "circuit.measure"
            )
        if any(scope.num_vars for scope in (circuit, *(item.operation.blocks if has_blocks(item) else ()))):
            raise ValueError(
                f"a simulation supports classical bits and registers only; {circuit.name!r} declares variables: keep "
                "their values in bits"
            )


def check_registers(circuit: QuantumCircuit) -> None:
    """Refuse, before any shots are taken, register names that a Sampler's result cannot have.

    They are the names of methods of `DataBin`, and those that the runtime gives to the flips of its twirls.
    """
    from qiskit.primitives import DataBin

    for register in circuit.cregs:
        try:
            DataBin(shape=(), **{register.name: None})
        except (TypeError, ValueError):
            raise ValueError(
                f"a Sampler's results can have no register named {register.name!r}; {circuit.name!r} has one: give it "
                "another name"
            ) from None
        if register.name.startswith("measurement_flips."):  # the runtime's client would look for what it flips
            raise ValueError(f"register names may not begin with 'measurement_flips.'; got {register.name!r}")


def check_metadata(circuit: QuantumCircuit) -> None:
    """Refuse, before any shots are taken, metadata that no result could be decoded with.

    Results return the metadata of their circuit, and the runtime's decoder takes a dict with ``"__type__"`` for an
    object of its own.
    """
    if _marks_a_type(circuit.metadata):
        raise ValueError(
            "metadata may not have the key '__type__', by which the runtime's encoder marks its own objects; those of "
            f"{circuit.name!r} have it: give it another name"
        )


def _marks_a_type(content: Any) -> bool:
    """True if a dict in metadata, at any depth, has the key of the runtime's encoder."""
    if isinstance(content, dict):
        return "__type__" in content or any(map(_marks_a_type, content.values()))
    return isinstance(content, list | tuple) and any(map(_marks_a_type, content))


def writes_bits(circuit: QuantumCircuit) -> bool:
    """True if a circuit measures a qubit, or stores into a classical bit, also inside an instruction made of gates."""
    return any(is_measurement(item.name) or item.name == "store" or _writes_within(item) for item, *_ in steps(circuit))


def _writes_within(item: Any) -> bool:
    """True if the definition of an instruction, such as one made from a circuit, writes a classical bit."""
    definition = item.operation.definition if item.clbits and not has_blocks(item) else None
    return definition is not None and writes_bits(definition)


def compile_circuits(
    circuits: Sequence[QuantumCircuit], machine: Machine, options: Options, seed: int
) -> list[QuantumCircuit]:
    """Compile circuits for a machine, avoiding its dead qubits and couplings where they fit without them.

    A circuit that is already compiled for the machine (`is_placed`) is not changed, so that it keeps the qubits, gates
    and delays that its author chose. A Clifford circuit too wide for the density matrix must stay Clifford to be
    simulated. The compiler's higher levels may hide that behind angles that cancel, so it is compiled at level 1.
    """
    target = getattr(machine.backend, "target", None)
    if machine.gates is not None:
        circuits = [widen(circuit, machine.gates) for circuit in circuits]
    placed = {i: circuit for i, circuit in enumerate(circuits) if target is not None and is_placed(circuit, target)}
    uncompiled = [circuit for i, circuit in enumerate(circuits) if i not in placed]
    for circuit in uncompiled if target is not None else ():
        check_delays(circuit, target)
    transpiled = iter(transpile_for(uncompiled, machine, options.optimization_level, seed))
    compiled = [placed[i] if i in placed else next(transpiled) for i in range(len(circuits))]
    if machine.kind == "model" and options.simulation in (None, "stabilizer"):
        for i, circuit in enumerate(circuits):
            wide = len(census(compiled[i])[1]) > 12 or options.simulation == "stabilizer"
            if wide and not is_clifford(compiled[i]) and is_clifford(circuit):
                (compiled[i],) = transpile_for([circuit], machine, min(1, options.optimization_level), seed)
    return compiled


def widen(circuit: QuantumCircuit, target: Target) -> QuantumCircuit:
    """Give a circuit of a target's operations on physical qubits, as OpenQASM 3 names them ($0), all of its qubits.

    Such a circuit has a layout and no register of qubits, and ends at the highest qubit that it names. Any other is
    returned unchanged.
    """
    from qiskit.transpiler import CouplingMap, PassManager
    from qiskit.transpiler.passes import ApplyLayout, EnlargeWithAncilla, FullAncillaAllocation, SetLayout

    if circuit.layout is None or circuit.qregs or circuit.num_qubits > (target.num_qubits or 0):
        return circuit
    if not is_supported(circuit, target):
        return circuit
    whole = FullAncillaAllocation(CouplingMap.from_line(target.num_qubits))  # only its number of qubits counts
    passes = [SetLayout(list(range(circuit.num_qubits))), whole, EnlargeWithAncilla(), ApplyLayout()]
    widened: QuantumCircuit = PassManager(passes).run(circuit)
    return widened


def is_placed(circuit: QuantumCircuit, target: Target) -> bool:
    """True if a circuit has a layout on all qubits of a target, and uses only operations that the target supports."""
    return circuit.layout is not None and circuit.num_qubits == target.num_qubits and is_supported(circuit, target)


def note_placed_anew(
    prepared: Sequence[Prepared], sources: Sequence[QuantumCircuit], machine: Machine
) -> list[Prepared]:
    """Add a note to each circuit whose source, from which it was compiled, may have been compiled before, and has lost
    its layout since."""
    distinct = {id(source): source for source in sources}  # one circuit may be the source of a whole sweep
    lost = {key: _has_lost_layout(source, machine.gates) for key, source in distinct.items()}
    return [
        replace(p, notes=(*p.notes, _PLACED_ANEW)) if lost[id(source)] else p
        for p, source in zip(prepared, sources, strict=True)
    ]


def _has_lost_layout(circuit: QuantumCircuit, target: Target | None) -> bool:
    """True if a circuit of a target's operations on as many qubits has no layout."""
    wide = target is not None and circuit.layout is None and circuit.num_qubits == target.num_qubits
    return wide and is_supported(circuit, target)


def transpile_for(circuits: list[QuantumCircuit], machine: Machine, level: int, seed: int) -> list[QuantumCircuit]:
    """Compile circuits for the living part of a machine where they fit there, else for the whole machine.

    Raises:
        ValueError: a circuit cannot be compiled for the machine, for example because it is too wide.
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
            passes, target = passes_for(False), machine.backend.target
            if not can_hold(target, circuit) and not can_hold(target, passes.init.run(circuit)):
                raise ValueError("the machine must offer measurements and gates on as many qubits as the circuit needs")
            compiled.append(passes.run(circuit))
    return compiled


def wrap_angles(circuit: QuantumCircuit, target: Target | None) -> QuantumCircuit:
    """Wrap angles into the range that the machine's gates accept: 0 to pi/2 for a fractional rzz gate.

    The compiler does this only for angles that are numbers at that time, and only if the target knows its bounds. A
    target whose dead parts were removed does not, since a target's bounds cannot be copied.
    """
    from qiskit.transpiler import PassManager
    from qiskit.transpiler.passes import WrapAngles

    if target is None or not target.has_angle_bounds():
        return circuit
    wrapped: QuantumCircuit = PassManager([WrapAngles(target)]).run(circuit)
    keep_labels(circuit, wrapped)
    return wrapped


def _compiling(machine: Machine) -> AbstractContextManager[None]:
    return replacing_errors(lambda said: ValueError(f"the circuit cannot be compiled for {machine.name}: {said}"))


def _prepare_one(circuit: QuantumCircuit, machine: Machine, options: Options, rng: np.random.Generator) -> Prepared:
    """Twirl and schedule one compiled circuit, and divide its shots over the twirls."""
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
        plain = with_layer_barriers(circuit, machine.gates, options.strategy or "active")
    copies, notes = list(twirls.circuits), twirls.notes
    if machine.kind == "hardware":
        check_sampler(copies[0], machine.backend, vars(options))
    elif machine.kind != "backend" or options.dd is not None:
        if can_schedule(circuit, machine.backend.target):
            *copies, plain = schedule([*copies, plain], machine.backend.target, options.dd)
        elif options.dd is not None:
            raise ValueError(f"dd={options.dd!r} needs a circuit that can be scheduled; {circuit.name!r} cannot")
        elif machine.kind == "model" and not machine.noiseless:
            notes += ("not scheduled (control flow, or gates of unknown length): qubits do not decohere while waiting",)
    profile = read_profile(plain, machine.calibration, dt=machine.clock)
    noiseless = machine.noiseless and not any(item.name in _CHANNELS for item, *_ in steps(circuit))
    notes += _unused(options, machine)
    if not machine.noiseless:
        notes += _note_dead(circuit, dead_parts(profile, machine.calibration), machine)
    shots = split_shots(options.shots, len(copies))
    method, note = _method(circuit, profile, machine, options)
    if machine.kind == "hardware":
        shots = [-(-options.shots // len(copies))] * len(copies)
    return Prepared(profile, twirls.flips, tuple(shots), method, notes + note, tuple(copies), noiseless)


def _unused(options: Options, machine: Machine) -> tuple[str, ...]:
    """Return a note for each option that was given and has no effect."""
    notes: tuple[str, ...] = ()
    if machine.kind != "hardware":
        if options.runtime:
            notes += (f"runtime options are for IBM's machines and not used: {', '.join(sorted(options.runtime))}",)
        for name in ("mode", "max_circuits"):
            if (value := getattr(options, name)) != getattr(Options, name):
                notes += (f"{name}={value!r} is for IBM's machines and not used",)
    if options.twirls == 1 and "twirling" not in options.runtime:
        changed = [n for n in ("group", "strategy", "twirling") if getattr(options, n) != getattr(Options, n)]
        notes += tuple(f"{name} concerns twirls, and there are none with twirls=1" for name in changed)
    return notes


def _note_dead(circuit: QuantumCircuit, dead: tuple[str, ...], machine: Machine) -> tuple[str, ...]:
    """Return a note that names the dead parts a compiled circuit uses, and warn about them."""
    if not dead:
        return ()
    note = f"uses what {machine.name} publishes as dead, whose results are noise: {', '.join(dead)}"
    warnings.warn(f"circuit {circuit.name!r} {note}", RuntimeWarning, stacklevel=2)
    return (note,)


def _prepare_references(
    circuits: Sequence[QuantumCircuit],
    served: Mapping[str, list[int]],
    machine: Machine,
    options: Options,
    rng: np.random.Generator,
) -> list[Prepared]:
    """Make one or more references for each skeleton, twirled and scheduled like the circuits that they serve.

    Args:
        circuits: the compiled circuits.
        served: indices of the circuits of each skeleton.
        machine: the machine to run on.
        options: the options of the circuits.
        rng: source of randomness.
    """
    shared = replace(options, shots=reference_shots(options))
    result = []
    for name, indices in served.items():
        circuit, number = circuits[indices[0]], int(options.reference)
        for reference in reference_circuits(circuit, number, machine.calibration, seed=rng, dt=machine.clock):
            prepared = _prepare_one(reference.circuit, machine, shared, rng)
            seen = () if reference.visible is None else (f"sees {reference.visible:.0%} of the faults that matter",)
            shots = served_shots(vars(shared)) or sum(prepared.shots)
            cost = f"reference of {plural(len(indices), 'circuit')}, {plural(shots, 'shot')}"
            notes = (cost, *seen, *reference.changes, *prepared.notes)
            expected = reference.expected
            result.append(replace(prepared, serves=tuple(indices), expected=expected, skeleton=name, notes=notes))
    return result


def _method(
    circuit: QuantumCircuit, profile: Profile, machine: Machine, options: Options
) -> tuple[str, tuple[str, ...]]:
    """Return how a circuit is run or simulated, see `Prepared.method`, and notes on it."""
    if machine.kind != "model":
        return ("aer" if machine.kind == "simulator" else machine.kind), ()
    method = options.simulation or choose_method(circuit, profile)
    if method != "stabilizer":
        return method, ()
    if not is_clifford(circuit):
        raise ValueError(f"simulation='stabilizer' needs a Clifford circuit; {circuit.name!r} is not one")
    return method, ("approximation: gate and waiting noise replaced by its Pauli twirl",)


def _versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "unknown"
    return versions
