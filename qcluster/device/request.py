"""A request: everything needed to run some circuits, to run them again, and to interpret their counts."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from qcluster.core.checks import check_choice, check_flag, check_real, check_whole
from qcluster.core.frozen import Frozen, freeze_arrays
from qcluster.core.noise.measured import MeasuredNoise
from qcluster.core.words import plural
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
    document_errors,
    write_document,
)
from qcluster.files import unpack

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

FORMAT = "qcluster-request"
VERSION = 2
"""From version 2 on, each copy of a circuit is compressed by itself: a wide and deep one takes several megabytes."""

_DEFAULT_REP_DELAY = 250e-6
"""Seconds between shots on most of IBM's machines."""
_MOST_REFERENCES = 16
"""Most references of one circuit."""
MOST = 2**31 - 1
"""Most shots, twirls, and circuits in a job: the largest signed 32-bit integer, as simulators and services use."""


@dataclass(frozen=True)
class Options:
    """How circuits are run; `execute` takes the same fields as keywords."""

    shots: int = 4096
    """Shots of each circuit, summed over its twirls."""
    twirls: int = 1
    """Number of Pauli-twirled copies that share the shots; 1 runs the circuit without twirling."""
    measure_twirl: bool = True
    """Whether twirled copies also flip measured bits."""
    twirling: Literal["client", "server"] = "client"
    """Who twirls: this package ("client") or, on hardware, the runtime's Sampler ("server"). Never both."""
    dd: str | None = None
    """Dynamical decoupling: "XX", "XpXm", "XY4" or None."""
    optimization_level: int = 3
    """Optimization level of Qiskit's compiler, 0 to 3."""
    mode: Literal["job", "batch", "session"] = "job"
    """How jobs are sent to hardware: each by itself, or together in a batch or session."""
    simulation: str | None = None
    """Simulation method; None chooses it by the size and structure of the circuit."""
    max_circuits: int = 300
    """Most circuits (twirled copies counted) in one hardware job; more are split over several jobs."""
    reference: bool | int = False
    """Whether to run a reference circuit for all circuits that differ only in angles; or the number of references,
    which see different faults."""
    group: Literal["pauli", "balanced_pauli", "local_c1", "local_pauli"] = "pauli"
    """How twirls are drawn: Paulis independently, or each equally often; the runtime also has local groups."""
    strategy: Literal["active", "active-accum", "active-circuit", "all"] | None = None
    """Which qubits are twirled around a layer of two-qubit gates. None means "active" with twirling="client", and
    "active-accum" with "server"."""
    runtime: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of the runtime's Sampler that have no keyword here, named as there: {"max_execution_time": 60}."""
    reference_share: float = 1.0
    """Shots of each reference, as a multiple of the shots of one circuit."""

    def __post_init__(self) -> None:
        for name in ("shots", "twirls", "max_circuits"):
            object.__setattr__(self, name, check_whole(name, getattr(self, name), 1, MOST))
        object.__setattr__(self, "optimization_level", check_whole("optimization_level", self.optimization_level, 0, 3))
        object.__setattr__(self, "measure_twirl", check_flag("measure_twirl", self.measure_twirl))
        if isinstance(self.reference, (bool, np.bool_)):
            object.__setattr__(self, "reference", bool(self.reference))
        else:
            _refuse_run_or_reference(self.reference)
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
                f"reference_share would have no effect: it goes with reference; got {share:g} and no reference: omit "
                "it or add reference=True"
            )
        check_twirls(self.twirls, self.shots)
        check_whole("shots times reference_share", reference_shots(self), 1, MOST)
        for name, choices in (
            ("twirling", ("client", "server")),
            ("dd", (None, *DECOUPLING)),
            ("mode", ("job", "batch", "session")),
            ("simulation", (None, *METHODS)),
            ("group", (*GROUPS, *SERVED_GROUPS)),
            ("strategy", (None, *STRATEGIES)),
        ):
            check_choice(name, getattr(self, name), choices)
        object.__setattr__(self, "runtime", check_runtime(self.runtime))
        check_together(vars(self))


def _refuse_run_or_reference(reference: Any) -> None:
    """Refuse a run, a list of references or a part of a reference, and say what to give instead; ValueError."""
    if isinstance(getattr(reference, "reference", None), MeasuredReference):
        cure = "give its reference, such as reference=run.reference"
    elif hasattr(reference, "reference"):
        cure = "it ran without a reference: measure one, with reference=True"
    elif reference is None:
        cure = "a run without a reference has none to give: measure one, with reference=True, or omit it"
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
    """One circuit, compiled and twirled, as it is sent to the machine; or a reference."""

    profile: Profile
    """Facts of the compiled circuit without twirls."""
    flips: npt.NDArray[np.bool_]
    """(n_twirls, n_bits) bool. True where a twirled copy flips a bit before it is read."""
    shots: tuple[int, ...]
    """(n_twirls,) shots of each twirled copy."""
    method: str
    """Simulation method; "aer" or "backend" for a backend with its own `run`, "hardware" for a real machine."""
    notes: tuple[str, ...]
    """What was not done as asked, and why; the cost of references, or the age of one measured earlier."""
    circuits: tuple[QuantumCircuit, ...]
    """The twirled copies, as they are run."""
    noiseless: bool = False
    """True if a simulator without noise runs a circuit that contains none."""
    serves: tuple[int, ...] = ()
    """For a reference: indices of the circuits whose noise it measures. Empty for a circuit."""
    expected: str = ""
    """For a reference: its noiseless output."""
    skeleton: str = ""
    """Name of the structure (gates, delays, measurements and their qubits) that a reference shares with the circuits it
    serves, see `skeleton`. For a circuit, empty unless a reference measured earlier serves it."""

    def __post_init__(self) -> None:
        freeze_arrays(self)


@dataclass(frozen=True, eq=False)
class Request(Frozen):
    """A complete order to run circuits: only the machine is needed to carry it out."""

    id: str
    """Unique name, such as "qcluster-20260101-120000-1f2e3d4c"; its jobs are tagged with it."""
    created: str
    """Time of creation, ISO 8601."""
    backend: str
    """Name of the machine."""
    kind: str
    """"simulator", "model", "backend" or "hardware", see `Machine`."""
    seed: int
    """Seed of everything random."""
    simulator_seed: int
    """Seed of the simulation, drawn from `seed`; below 2**31."""
    dt: float | None
    """Seconds per unit of a delay given in "dt"."""
    options: dict[str, Any]
    """The options given to `execute`: twirls, twirling, dd, optimization_level, mode and so on."""
    versions: dict[str, str]
    """Versions of qcluster, qiskit, qiskit-aer, qiskit-ibm-runtime and numpy."""
    calibration: Calibration
    """What the machine published when the request was made."""
    prepared: tuple[Prepared, ...]
    """One per circuit, followed by one per reference."""
    reused: tuple[MeasuredReference, ...] = ()
    """References measured earlier, each for the circuits of its skeleton."""
    asked: str = ""
    """SHA-256 of the circuits before compilation, machine, options, seed and reused references (`request_digest`). A
    later call with the same digest asks for this request again. Empty if unknown, as in requests of older versions or
    with a Generator as seed."""
    instance: str = ""
    """CRN of the account's instance through which the jobs are sent; empty if there is none, or in older requests."""

    def to_json(self) -> str:
        """Return everything as JSON text, circuits included."""
        parts = []
        for prepared in self.prepared:
            fields = {name: value for name, value in vars(prepared).items() if name != "circuits"}
            qpy = [zlib.compress(dump_circuits([circuit])) for circuit in prepared.circuits]
            parts.append(fields | {"flips": format_flips(prepared.flips), "qpy": qpy})
        return write_document(self, FORMAT, VERSION, prepared=parts)

    @classmethod
    @document_errors(FORMAT)
    def from_json(cls, text: str) -> Request:
        """Read the JSON text of `to_json`; ValueError if it is not a request, or was written by a newer version."""
        content = {"reused": [], "asked": "", "instance": "", **check_format(text, FORMAT, VERSION)}
        fields = {f.name: content[f.name] for f in dataclasses.fields(cls)}
        _check_fields(fields)
        fields["calibration"] = Calibration.from_json(json.dumps(content["calibration"]))
        noiseless = fields["kind"] == "simulator" and fields["calibration"].noiseless  # not stored in older requests
        fields["prepared"] = tuple(
            _read_prepared(
                {"noiseless": noiseless, **part} if isinstance(part, dict) else part, fields["kind"], f"circuit {i}"
            )
            for i, part in enumerate(content["prepared"])
        )
        earlier = content["reused"] or []
        single = not isinstance(earlier, list)  # older requests have one reference for all circuits, or null
        reused = [MeasuredReference.from_json(json.dumps(part)) for part in ([earlier] if single else earlier)]
        fields["reused"] = tuple(reused)
        if single:
            fields["prepared"] = tuple(
                dataclasses.replace(prepared, skeleton=reused[0].skeleton) for prepared in fields["prepared"]
            )
        return cls(**fields)


def reference_shots(options: Options) -> int:
    """Number of shots of each reference: at least one per twirl."""
    return max(options.twirls, round(options.shots * options.reference_share))


def check_twirls(twirls: int, shots: int) -> None:
    """Raise ValueError if there are fewer shots than twirls, among which they are divided."""
    if twirls > shots:
        raise ValueError(f"twirls must not exceed shots, which they share; got {twirls} and {shots}")


def check_share(reused: MeasuredReference | None, share: float) -> None:
    """Refuse a `reference_share` other than 1 for a reference that was measured earlier, which takes no shots now."""
    if reused is not None and share != 1:
        raise ValueError(
            f"reference_share would have no effect: the reference was measured earlier; got {share!r:.60}: omit it "
            "or measure another with reference=True"
        )


def divide(request: Request) -> list[list[tuple[int, int]]]:
    """Divide a request into jobs, each a list of (circuit, twirl) indices; a simulation is one job.

    A job takes at most ``max_circuits`` circuits, all with the same number of shots. References with another number
    of shots than the circuits (``reference_share``) therefore have separate jobs.
    """
    places = [(i, k) for i, prepared in enumerate(request.prepared) for k in range(len(prepared.shots))]
    if request.kind != "hardware":
        return [places] if places else []
    groups = [list(group) for _, group in groupby(places, lambda place: request.prepared[place[0]].shots[place[1]])]
    size = request.options["max_circuits"]
    return [group[start : start + size] for group in groups for start in range(0, len(group), size)]


def narrow(request: Request, places: Iterable[tuple[int, int]]) -> tuple[Request, list[int]]:
    """Reduce a request to some of its (circuit, twirl) indices, as if nothing else had been asked for.

    Returns:
        The request, and the indices of the circuits and references that it keeps. A reference of which no circuit is
        left is omitted. Notes say which circuits have fewer twirls or references.
    """
    twirls: dict[int, list[int]] = {}
    for i, k in sorted(places):
        twirls.setdefault(i, []).append(k)
    kept = [
        i for i in twirls if not request.prepared[i].serves or not twirls.keys().isdisjoint(request.prepared[i].serves)
    ]
    position = {i: new for new, i in enumerate(kept)}
    references: dict[int, list[int]] = {}
    for j, reference in enumerate(request.prepared):
        for i in reference.serves:
            references.setdefault(i, []).append(j)
    prepared = []
    for i in kept:
        whole, chosen = request.prepared[i], twirls[i]
        missing = _note_missing(len(whole.shots), len(chosen), "twirl")
        missing += _note_missing(len(references.get(i, ())), len(twirls.keys() & references.get(i, ())), "reference")
        reduced = dataclasses.replace(
            whole,
            flips=whole.flips[chosen],
            shots=tuple(whole.shots[k] for k in chosen),
            circuits=tuple(whole.circuits[k] for k in chosen),
            serves=tuple(position[j] for j in whole.serves if j in position),
            notes=whole.notes + missing,
        )
        prepared.append(reduced)
    return dataclasses.replace(request, prepared=tuple(prepared)), kept


def _note_missing(wanted: int, arrived: int, noun: str) -> tuple[str, ...]:
    """Return a note on how many are missing, or none."""
    return () if arrived == wanted else (f"{wanted - arrived} of {plural(wanted, noun)} missing",)


def request_digest(
    circuits: Sequence[QuantumCircuit],
    backend: str,
    options: Options,
    seed: int | None,
    reused: Sequence[MeasuredReference] = (),
    qiskit: str = "",
) -> str:
    """SHA-256 digest of a request: equal for the same circuits, options, seed and references on the same machine.

    Args:
        circuits: the circuits before compilation. Their names are ignored, since Qiskit numbers unnamed circuits.
        backend: name of the machine.
        options: how the circuits are run.
        seed: the seed; None counts as a seed like any other, so that the same call has the same digest.
        reused: the references measured earlier that were given.
        qiskit: the version of Qiskit that the digest is for, to compare with one made under another version; see
            `identify_circuits`.
    """
    earlier = [_pooled(reference).to_json() for reference in reused]
    # Requests with one reference, or none, must keep the digests that earlier versions stored.
    facts = [backend, vars(options), seed, earlier[0] if len(earlier) == 1 else earlier or None]
    return hashlib.sha256(identify_circuits(circuits, qiskit) + json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _pooled(reference: MeasuredReference) -> MeasuredReference:
    """Leave out the counts of single twirls and the time of the measurement, which earlier versions did not keep."""
    return dataclasses.replace(reference, twirl_counts=(), measured_at="", more=tuple(map(_pooled, reference.more)))


_KINDS = {"simulator": ("aer",), "model": METHODS, "backend": ("backend",), "hardware": ("hardware",)}
"""Values of `Prepared.method` for each kind of machine."""


def _check_fields(fields: dict[str, Any]) -> None:
    """Check the fields of a stored request, and add options that older requests lack; ValueError if one is wrong."""
    for name in ("id", "created", "backend", "asked", "instance"):
        if not isinstance(fields[name], str) or not (fields[name] or name in {"asked", "instance"}):
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
        raise ValueError(f"versions must be strings by name; got {versions!r:.60}")
    names, wrong = set(Options.__dataclass_fields__), fields["options"]
    if isinstance(wrong, dict):
        fields["options"] = {
            "reference": False,
            "reference_share": 1.0,
            "group": "balanced_pauli" if wrong.get("balanced") else "pauli",
            "strategy": None,
            "runtime": {},
            **{name: value for name, value in wrong.items() if name != "balanced"},
        }  # older requests lack these, or have "balanced" in place of "group"
        wrong = sorted(set(fields["options"]) ^ names)
    if not isinstance(fields["options"], dict) or wrong:
        raise ValueError(f"options must hold {', '.join(sorted(names))}, each once; missing or unknown: {wrong!r:.60}")
    try:
        Options(**fields["options"])
    except TypeError as error:
        raise ValueError(str(error)) from error


def _read_prepared(part: Any, kind: str, name: str) -> Prepared:
    """Read one stored `Prepared`; ValueError, with the name of the circuit, if it is wrong."""
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
    if isinstance(part["qpy"], list):
        files = [unpack(base64.b64decode(file)) for file in part["qpy"]]
    else:  # version 1
        files = [base64.b64decode(part["qpy"])]
    circuits = tuple(circuit for file in files for circuit in load_circuits(file))
    if [circuit.num_clbits for circuit in circuits] != [profile.n_bits] * len(shots):
        widths = [circuit.num_clbits for circuit in circuits]
        raise ValueError(f"{name} must be {len(shots)} circuits of {profile.n_bits} classical bits; got {widths!r:.60}")
    return Prepared(
        profile=profile,
        flips=flips,
        shots=tuple(shots),
        method=part["method"],
        notes=tuple(notes),
        noiseless=check_flag(f"noiseless of {name}", part["noiseless"]),
        circuits=circuits,
        **_read_reference_fields(part, profile.n_bits, name),
    )


def _read_reference_fields(part: dict[str, Any], n_bits: int, name: str) -> dict[str, Any]:
    """Read the fields of `Prepared` that concern references; older requests lack them."""
    serves, texts = part.get("serves", []), [part.get(key, "") for key in ("expected", "skeleton")]
    if not isinstance(serves, list) or any(isinstance(i, bool) or not isinstance(i, int) or i < 0 for i in serves):
        raise ValueError(f"serves of {name} must be a list of numbers of circuits; got {serves!r:.60}")
    if not all(isinstance(text, str) for text in texts) or (serves and _width(texts[0]) != n_bits):
        raise ValueError(f"expected of {name} must be {n_bits} characters 0 and 1; got {texts[0]!r:.60}")
    return {"serves": tuple(serves), "expected": texts[0], "skeleton": texts[1]}


def format_flips(flips: npt.NDArray[np.bool_]) -> list[str]:
    """Write flips as one text of 0 and 1 per twirl: (n_twirls, n_bits) bool, column j is classical bit j."""
    return ["".join("01"[flip] for flip in row) for row in flips.tolist()]


def parse_flips(rows: Any, n_twirls: int, n_bits: int, name: str) -> npt.NDArray[np.bool_]:
    """Undo `format_flips`; ValueError, with the name of the circuit or run, if the texts are wrong."""
    if not isinstance(rows, list) or [_width(row) for row in rows] != [n_bits] * n_twirls:
        texts = f"{plural(n_twirls, 'text')} of {plural(n_bits, 'character')} 0 and 1"
        raise ValueError(f"flips of {name} must be {texts}; got {rows!r:.60}")
    return np.array([[c == "1" for c in row] for row in rows], dtype=bool).reshape(n_twirls, n_bits)


def _width(row: Any) -> int:
    """Length of a text of 0 and 1; -1 for anything else."""
    return len(row) if isinstance(row, str) and set(row) <= {"0", "1"} else -1


def estimate_usage(request: Request) -> float:
    """Estimate the machine time of a request in seconds, by IBM's formula for jobs without extras.

    Each job takes two seconds, and each shot takes the duration of its circuit plus the delay between shots. The delay
    is the runtime option ``execution.rep_delay``, or else 250 microseconds, the default of most of IBM's machines.
    """
    asked = request.options["runtime"].get("execution", {}).get("rep_delay")
    delay = _DEFAULT_REP_DELAY if asked is None else float(asked)
    shots = _shots_taken(request, request.prepared)
    running = sum(n * (p.profile.duration + delay) for p, n in zip(request.prepared, shots, strict=True))
    return float(2 * len(divide(request)) + running)


def _shots_taken(request: Request, prepared: Sequence[Prepared]) -> list[int]:
    """Number of shots that each circuit takes; the runtime's twirling rounds it up."""
    served = served_shots(request.options)
    return [sum(p.shots) if served is None else served for p in prepared]


def describe_usage(request: Request) -> str:
    """Give the estimate of `estimate_usage` in a sentence."""
    return f"estimated use of {request.backend}: {estimate_usage(request):.1f} s; the bill is in the jobs' metrics"


def reference_cost(request: Request) -> str:
    """Give the cost of a request's references in a sentence: shots, and an estimate of the machine time.

    The time is the difference of `estimate_usage` with and without the references, including the jobs that they add.
    It is omitted if the duration of a reference is unknown, as on a simulator without calibration.
    """
    circuits, references = ([p for p in request.prepared if bool(p.serves) is served] for served in (False, True))
    if not references:
        return "no reference runs: one that was measured earlier costs nothing"
    shots, timed = sum(_shots_taken(request, references)), all(p.profile.duration for p in references)
    seconds = estimate_usage(request) - estimate_usage(dataclasses.replace(request, prepared=tuple(circuits)))
    time = f", some {seconds:.1f} s on the machine" if timed else ""
    share = shots / sum(_shots_taken(request, circuits))
    numbers = f"{plural(len(references), 'reference')} for {plural(len(circuits), 'circuit')}"
    return f"{numbers}: {plural(shots, 'shot')} ({share:.0%} more){time}"
