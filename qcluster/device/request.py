"""A request: all that must be known to run some circuits, to run them again, and to read their counts."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from qcluster.core.checks import check_choice, check_flag, check_real, check_twirls, check_whole
from qcluster.core.frozen import Frozen, freeze_arrays
from qcluster.core.noise.measured import MeasuredNoise
from qcluster.core.words import many
from qcluster.device.circuits.identity import identify_circuits
from qcluster.device.circuits.layers import STRATEGIES
from qcluster.device.circuits.profile import Profile
from qcluster.device.circuits.qpy import dump_circuits, load_circuits
from qcluster.device.circuits.schedule import DECOUPLING
from qcluster.device.circuits.twirl import GROUPS
from qcluster.device.machines.calibration import Calibration
from qcluster.device.noise.measured import MeasuredReference
from qcluster.device.noise.reference import Reference
from qcluster.device.noise.simulate import METHODS
from qcluster.device.runtime_options import SERVED_GROUPS, check_runtime, check_together, served_shots
from qcluster.device.storage import (
    check_format,
    check_time,
    reading,
    write_document,
)

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

FORMAT = "qcluster-request"
VERSION = 1

_BETWEEN = 250e-6
"""Seconds between shots."""


_MOST_REFERENCES = 16
"""References of one circuit."""
MOST = 2**31 - 1
"""Most shots, twirls and circuits in a job: what simulators and services count with."""


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
    reference: bool | int = False
    """Whether a reference circuit runs beside the circuits, once for all that differ in angles only; or how many that
    see different faults."""
    group: Literal["pauli", "balanced_pauli", "local_c1", "local_pauli"] = "pauli"
    """How twirls are drawn: Paulis independently or each equally often; the runtime also knows local groups."""
    strategy: Literal["active", "active-accum", "active-circuit", "all"] | None = None
    """Which qubits are twirled around a layer of two-qubit gates; None is "active" of ours, "active-accum" of the
    runtime's."""
    runtime: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of the runtime's own Sampler for what has no keyword here, as it has them: {"max_execution_time": 60}."""
    reference_share: float = 1.0
    """Shots of each reference, as a multiple of those of one circuit."""

    def __post_init__(self) -> None:
        for name in ("shots", "twirls", "max_circuits"):
            object.__setattr__(self, name, check_whole(name, getattr(self, name), 1, MOST))
        object.__setattr__(self, "optimization_level", check_whole("optimization_level", self.optimization_level, 0, 3))
        object.__setattr__(self, "measure_twirl", check_flag("measure_twirl", self.measure_twirl))
        if isinstance(self.reference, (bool, np.bool_)):
            object.__setattr__(self, "reference", bool(self.reference))
        else:
            _check_kind(self.reference)
            number = check_whole("reference (True, False, or how many)", self.reference, 0, _MOST_REFERENCES)
            object.__setattr__(self, "reference", bool(number) if number < 2 else number)
        share = check_real("reference_share", self.reference_share, 0, 1000, open_low=True)
        object.__setattr__(self, "reference_share", share)
        if share != 1 and self.twirling == "server":
            raise ValueError(
                "reference_share must be 1 where the runtime twirls, which gives each circuit the same shots; got "
                f"{share:g}: use twirling='client'"
            )
        if share != 1 and not self.reference:
            raise ValueError(
                f"reference_share would have no effect: it goes with reference; got {share:g} and no reference: leave "
                "it away or add reference=True"
            )
        check_twirls(self.twirls, self.shots)
        for name, known in (
            ("twirling", ("client", "server")),
            ("dd", (None, *DECOUPLING)),
            ("mode", ("job", "batch", "session")),
            ("simulation", (None, *METHODS)),
            ("group", (*GROUPS, *SERVED_GROUPS)),
            ("strategy", (None, *STRATEGIES)),
        ):
            check_choice(name, getattr(self, name), known)
        object.__setattr__(self, "runtime", check_runtime(self.runtime))
        check_together(vars(self))


def _check_kind(reference: Any) -> None:
    """Refuse what holds a reference, or is a part of one, with what to give in its place."""
    if isinstance(getattr(reference, "reference", None), MeasuredReference):
        cure = "give its reference, such as reference=run.reference"
    elif hasattr(reference, "reference"):
        cure = "it ran without a reference: measure one, with reference=True"
    elif isinstance(reference, (MeasuredNoise, Reference)):
        cure = "give the reference of a run, such as reference=run.reference, which knows the places it was measured on"
    elif isinstance(reference, (list, tuple)):
        cure = "give one reference, such as reference=runs[0].reference"
    else:
        return
    raise ValueError(
        "reference must be True, False, how many, or the reference of an earlier run; "
        f"got a {type(reference).__name__}: {cure}"
    )


@dataclass(frozen=True, eq=False)
class Prepared(Frozen):
    """Hold one circuit, compiled and dressed, as it goes to the machine."""

    profile: Profile
    """Facts of the compiled circuit without twirls."""
    flips: npt.NDArray[np.bool_]
    """(n_twirls, n_bits) bool. True where a dress flips a bit before it reads it."""
    shots: tuple[int, ...]
    """(n_twirls,) shots of each dress."""
    method: str
    """Simulation method; "aer" and "backend" for what is run as it is, "hardware" for a machine."""
    notes: tuple[str, ...]
    """What was not done as asked, and why; what a reference cost, or the age of one that was measured earlier."""
    circuits: tuple[QuantumCircuit, ...]
    """The dresses, as they are run."""
    noiseless: bool = False
    """True where a simulator without noise runs a circuit that brings none of its own."""
    serves: tuple[int, ...] = ()
    """Of a reference: numbers of the circuits whose noise it measures. None for a circuit of its own."""
    expected: str = ""
    """Of a reference: its noiseless output."""
    skeleton: str = ""
    """Name of what a reference shares with the circuits that it serves; of a circuit, only where a reference measured
    earlier serves it."""

    def __post_init__(self) -> None:
        freeze_arrays(self)


@dataclass(frozen=True, eq=False)
class Request(Frozen):
    """Hold what was asked for, complete: running it needs nothing else but the machine."""

    id: str
    """Unique name, also the tag of its jobs: "qcluster-20260101-120000-1f2e3d4c"."""
    created: str
    """When, ISO 8601."""
    backend: str
    """Name of the machine."""
    kind: str
    """"simulator", "model", "backend" or "hardware", see `Machine`."""
    seed: int
    """Everything random follows from it."""
    simulator_seed: int
    """What the simulation got of it, below 2**31."""
    dt: float | None
    """Seconds per unit of a delay given in "dt"."""
    options: dict[str, Any]
    """As given to `execute`: twirls, twirling, dd, optimization_level, mode and so on."""
    versions: dict[str, str]
    """Versions of qcluster, qiskit, qiskit-aer, qiskit-ibm-runtime and numpy."""
    calibration: Calibration
    """What the machine published when the request was made."""
    prepared: tuple[Prepared, ...]
    """One per circuit, and behind them one per reference."""
    reused: tuple[MeasuredReference, ...] = ()
    """References measured earlier, each for the circuits of its skeleton."""
    asked: str = ""
    """SHA-256 of what was asked for, before anything was compiled: circuits, machine, options, seed (`what_is_asked`).
    The same asked for again is this request. Empty where nothing says so, as in older ones."""

    def to_json(self) -> str:
        """Write everything, circuits included, as JSON text."""
        prepared = []
        for one in self.prepared:
            facts = {name: value for name, value in vars(one).items() if name != "circuits"}
            prepared.append(facts | {"flips": format_flips(one.flips), "qpy": dump_circuits(one.circuits)})
        return write_document(self, FORMAT, VERSION, prepared=prepared)

    @classmethod
    @reading(FORMAT)
    def from_json(cls, text: str) -> Request:
        """Read what `to_json` wrote; ValueError where the text is no request or from a newer version."""
        content = {"reused": [], "asked": "", **check_format(text, FORMAT, VERSION)}
        fields = {f.name: content[f.name] for f in dataclasses.fields(cls)}
        _check_facts(fields)
        fields["calibration"] = Calibration.from_json(json.dumps(content["calibration"]))
        quiet = fields["kind"] == "simulator" and fields["calibration"].noiseless  # older requests do not say
        fields["prepared"] = tuple(
            _prepared({"noiseless": quiet, **part} if isinstance(part, dict) else part, fields["kind"], f"circuit {i}")
            for i, part in enumerate(content["prepared"])
        )
        earlier = content["reused"] or []
        older = not isinstance(earlier, list)  # older requests have one for all circuits, or null
        read = [MeasuredReference.from_json(json.dumps(one)) for one in ([earlier] if older else earlier)]
        fields["reused"] = tuple(read)
        if older:
            fields["prepared"] = tuple(
                dataclasses.replace(one, skeleton=read[0].skeleton) for one in fields["prepared"]
            )
        return cls(**fields)


def reference_shots(options: Options) -> int:
    """Shots of each reference, one at least for each twirl."""
    return max(options.twirls, round(options.shots * options.reference_share))


def check_share(reused: MeasuredReference | None, share: float) -> None:
    """Refuse a share of shots for a reference that is not run: one that was measured earlier has its shots."""
    if reused is not None and share != 1:
        raise ValueError(
            f"reference_share would have no effect: the reference was measured earlier; got {share!r:.60}: leave it "
            "away or measure another with reference=True"
        )


def divide(request: Request) -> list[list[tuple[int, int]]]:
    """Divide a request over jobs: lists of (circuit, twirl); a simulation is one.

    A job takes at most max_circuits, and all with the same shots: with a reference_share references are jobs apart.
    """
    places = [(i, k) for i, prepared in enumerate(request.prepared) for k in range(len(prepared.shots))]
    if request.kind != "hardware":
        return [places] if places else []
    alike = [list(same) for _, same in groupby(places, lambda place: request.prepared[place[0]].shots[place[1]])]
    size = request.options["max_circuits"]
    return [same[start : start + size] for same in alike for start in range(0, len(same), size)]


def what_is_asked(
    circuits: Sequence[QuantumCircuit],
    backend: str,
    options: Options,
    seed: int | None,
    reused: MeasuredReference | None = None,
    qiskit: str = "",
) -> str:
    """Name what is asked for, by SHA-256: the same circuits, options and seed on the same machine have the same name.

    Circuits are as they were given, not compiled; their names do not count, since Qiskit numbers those that have none.
    None is a seed like any other here, so that the same call has the same name. To compare with a name that was given
    under another version of Qiskit, say which, see `identify_circuits`.
    """
    facts = [backend, vars(options), seed, None if reused is None else reused.to_json()]
    return hashlib.sha256(identify_circuits(circuits, qiskit) + json.dumps(facts, sort_keys=True).encode()).hexdigest()


_KINDS = {"simulator": ("aer",), "model": METHODS, "backend": ("backend",), "hardware": ("hardware",)}
"""How the circuits of each kind of machine are run."""


def _check_facts(fields: dict[str, Any]) -> None:
    """Check what a request says of itself; ValueError names what must hold."""
    for name in ("id", "created", "backend", "asked"):
        if not isinstance(fields[name], str) or not (fields[name] or name == "asked"):
            raise ValueError(f"{name} must be a text; got {fields[name]!r:.60}")
    check_time("created", fields["created"])
    if fields["kind"] not in _KINDS:
        raise ValueError(f"kind must be one of {', '.join(_KINDS)}; got {fields['kind']!r:.60}")
    check_whole("seed", fields["seed"], 0)
    check_whole("simulator_seed", fields["simulator_seed"], 0, MOST)
    dt = fields["dt"]
    if dt is not None and (isinstance(dt, bool) or not isinstance(dt, (int, float)) or not 0 <= dt < 1):
        raise ValueError(f"dt must be seconds from 0 to below 1, or null; got {dt!r:.60}")
    versions = fields["versions"]
    if not isinstance(versions, dict) or not all(isinstance(text, str) for text in versions.values()):
        raise ValueError(f"versions must be texts by name; got {versions!r:.60}")
    known, wrong = set(Options.__dataclass_fields__), fields["options"]
    if isinstance(wrong, dict):
        fields["options"] = {
            "reference": False,
            "reference_share": 1.0,
            "group": "balanced_pauli" if wrong.get("balanced") else "pauli",
            "strategy": None,
            "runtime": {},
            **{name: value for name, value in wrong.items() if name != "balanced"},
        }  # older requests do not say, or say "balanced"
        wrong = sorted(set(fields["options"]) ^ known)
    if not isinstance(fields["options"], dict) or wrong:
        raise ValueError(f"options must hold {', '.join(sorted(known))}, each once; wrong is {wrong!r:.60}")
    try:
        Options(**fields["options"])
    except TypeError as error:
        raise ValueError(str(error)) from error


def _prepared(part: Any, kind: str, name: str) -> Prepared:
    if not isinstance(part, dict):
        raise ValueError(f"{name} must be an object; got {part!r:.60}")
    shots, rows, notes = (part[key] for key in ("shots", "flips", "notes"))
    if not isinstance(shots, list) or not shots:
        raise ValueError(f"shots of {name} must be a list with a number for each twirl; got {shots!r:.60}")
    for value in shots:
        check_whole(f"shots of {name}", value, 1, MOST)
    if part["method"] not in _KINDS[kind]:
        raise ValueError(f"method of {name} must be one of {', '.join(_KINDS[kind])}; got {part['method']!r:.60}")
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise ValueError(f"notes of {name} must be a list of texts; got {notes!r:.60}")
    profile = Profile.from_json(json.dumps(part["profile"]))
    flips = parse_flips(rows, len(shots), profile.n_bits, name)
    circuits = tuple(load_circuits(base64.b64decode(part["qpy"])))
    if [circuit.num_clbits for circuit in circuits] != [profile.n_bits] * len(shots):
        widths = [circuit.num_clbits for circuit in circuits]
        raise ValueError(f"{name} must be {len(shots)} circuits of {profile.n_bits} classical bits; got {widths!r:.60}")
    return Prepared(
        profile=profile,
        flips=flips,
        shots=tuple(shots),
        method=part["method"],
        notes=tuple(notes),
        noiseless=bool(part["noiseless"]),
        circuits=circuits,
        **_served(part, profile.n_bits, name),
    )


def _served(part: dict[str, Any], n_bits: int, name: str) -> dict[str, Any]:
    """What is said of a reference; older requests have none."""
    serves, texts = part.get("serves", []), [part.get(key, "") for key in ("expected", "skeleton")]
    if not isinstance(serves, list) or any(isinstance(i, bool) or not isinstance(i, int) or i < 0 for i in serves):
        raise ValueError(f"serves of {name} must be a list of numbers of circuits; got {serves!r:.60}")
    if not all(isinstance(text, str) for text in texts) or (serves and _width(texts[0]) != n_bits):
        raise ValueError(f"expected of {name} must be {n_bits} characters 0 and 1; got {texts[0]!r:.60}")
    return {"serves": tuple(serves), "expected": texts[0], "skeleton": texts[1]}


def format_flips(flips: npt.NDArray[np.bool_]) -> list[str]:
    """Write flips (n_twirls, n_bits), column j classical bit j, as one text of 0 and 1 for each twirl."""
    return ["".join("01"[flip] for flip in row) for row in flips.tolist()]


def parse_flips(rows: Any, n_twirls: int, n_bits: int, name: str) -> npt.NDArray[np.bool_]:
    """Read what `format_flips` wrote; ValueError where it is not that, with the name of what it is of."""
    if not isinstance(rows, list) or [_width(row) for row in rows] != [n_bits] * n_twirls:
        texts = f"{many(n_twirls, 'text')} of {many(n_bits, 'character')} 0 and 1"
        raise ValueError(f"flips of {name} must be {texts}; got {rows!r:.60}")
    return np.array([[c == "1" for c in row] for row in rows], dtype=bool).reshape(n_twirls, n_bits)


def _width(row: Any) -> int:
    """Length of a text of 0 and 1; -1 for anything else."""
    return len(row) if isinstance(row, str) and set(row) <= {"0", "1"} else -1


def estimate_usage(request: Request) -> float:
    """Estimate the seconds that a request takes on its machine, by IBM's formula for jobs without extras.

    Two seconds for each job, and for each shot the length of its circuit and the delay between shots: that of the
    runtime option ``execution.rep_delay``, else the 250 microseconds that IBM's machines wait by default.
    """
    delay = float(request.options["runtime"].get("execution", {}).get("rep_delay") or _BETWEEN)
    amounts = _taken(request, request.prepared)
    running = sum(n * (p.profile.duration + delay) for p, n in zip(request.prepared, amounts, strict=True))
    return float(2 * len(divide(request)) + running)


def _taken(request: Request, prepared: Sequence[Prepared]) -> list[int]:
    """Shots that each takes; the runtime's own twirling rounds them up."""
    served = served_shots(request.options)
    return [sum(p.shots) if served is None else served for p in prepared]


def describe_usage(request: Request) -> str:
    """Say the estimate of `estimate_usage` in a sentence."""
    return f"estimated use of {request.backend}: {estimate_usage(request):.1f} s; the bill is in the jobs' metrics"


def reference_cost(request: Request) -> str:
    """Say in a sentence what the references of a request cost: shots, and an estimate of the time on the machine.

    The time is by how much `estimate_usage` is more than without them: that of their shots, and of the jobs that they
    need beside those of the circuits. None is said where the length of a circuit is unknown, as on a simulator without
    calibration.
    """
    own, extra = ([p for p in request.prepared if bool(p.serves) is served] for served in (False, True))
    if not extra:
        return "no reference runs: one that was measured earlier costs nothing"
    shots, timed = sum(_taken(request, extra)), all(p.profile.duration for p in extra)
    seconds = estimate_usage(request) - estimate_usage(dataclasses.replace(request, prepared=tuple(own)))
    time = f", some {seconds:.1f} s on the machine" if timed else ""
    share = shots / sum(_taken(request, own))
    references, circuits = many(len(extra), "reference"), many(len(own), "circuit")
    return f"{references} for {circuits}: {many(shots, 'shot')} ({share:.0%} more){time}"
