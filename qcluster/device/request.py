"""A request: all that must be known to run some circuits, to run them again, and to read their counts."""

from __future__ import annotations

import base64
import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qcluster.device.calibration import Calibration
from qcluster.device.profile import Profile
from qcluster.device.reference import MeasuredReference
from qcluster.device.storage import check_format, dump_circuits, load_circuits, reading

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

FORMAT = "qcluster-request"
VERSION = 1

_BETWEEN = 250e-6
"""Seconds between shots."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Hold one circuit, compiled and dressed, as it goes to the machine."""

    profile: Profile
    """Facts of the compiled circuit without twirls."""
    flips: npt.NDArray[np.bool_]
    """(n_twirls, n_bits) bool. True where a dress flips a bit before it reads it."""
    shots: tuple[int, ...]
    """(n_twirls,) shots of each dress."""
    method: str
    """Simulation method; "aer" for a simulator that is run as it is, "hardware" for a machine."""
    notes: tuple[str, ...]
    """What was not done as asked, and why."""
    circuits: tuple[QuantumCircuit, ...]
    """The dresses, as they are run."""
    serves: tuple[int, ...] = ()
    """Of a reference: numbers of the circuits whose noise it measures. None for a circuit of its own."""
    expected: str = ""
    """Of a reference: its noiseless output."""
    skeleton: str = ""
    """Of a reference: name of what it shares with the circuits that it serves."""


@dataclass(frozen=True, eq=False)
class Request:
    """Hold what was asked for, complete: running it needs nothing else but the machine."""

    id: str
    """Unique name, also the tag of its jobs: "qcluster-20260101-120000-1f2e3d4c"."""
    created: str
    """When, ISO 8601."""
    backend: str
    """Name of the machine."""
    kind: str
    """"simulator", "model" or "hardware", see `Machine`."""
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
    reused: MeasuredReference | None = None
    """A reference measured earlier, for all circuits."""

    @property
    def n_circuits(self) -> int:
        """Number of circuits, references not counted."""
        return sum(not prepared.serves for prepared in self.prepared)

    def to_json(self) -> str:
        """Write everything, circuits included, as JSON text."""
        content = {"format": FORMAT, "version": VERSION}
        content |= {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        content["calibration"] = json.loads(self.calibration.to_json())
        content["prepared"] = [
            {
                "profile": json.loads(p.profile.to_json()),
                "flips": ["".join("01"[flip] for flip in row) for row in p.flips.tolist()],
                "shots": p.shots,
                "method": p.method,
                "notes": p.notes,
                "serves": p.serves,
                "expected": p.expected,
                "skeleton": p.skeleton,
                "qpy": base64.b64encode(dump_circuits(p.circuits)).decode("ascii"),
            }
            for p in self.prepared
        ]
        content["reused"] = None if self.reused is None else json.loads(self.reused.to_json())
        return json.dumps(content, allow_nan=False)

    @classmethod
    @reading(FORMAT)
    def from_json(cls, text: str) -> Request:
        """Read what `to_json` wrote; ValueError where the text is no request or from a newer version."""
        content = {"reused": None, **check_format(text, FORMAT, VERSION)}
        fields = {f.name: content[f.name] for f in dataclasses.fields(cls)}
        fields["calibration"] = Calibration.from_json(json.dumps(content["calibration"]))
        fields["prepared"] = tuple(_prepared(part) for part in content["prepared"])
        if content["reused"] is not None:
            fields["reused"] = MeasuredReference.from_json(json.dumps(content["reused"]))
        return cls(**fields)


def _prepared(part: dict[str, Any]) -> Prepared:
    profile = Profile.from_json(json.dumps(part["profile"]))
    flips = np.array([[c == "1" for c in row] for row in part["flips"]], dtype=bool)
    return Prepared(
        profile=profile,
        flips=flips.reshape(len(part["shots"]), profile.n_bits),
        shots=tuple(part["shots"]),
        method=part["method"],
        notes=tuple(part["notes"]),
        circuits=tuple(load_circuits(base64.b64decode(part["qpy"]))),
        serves=tuple(part.get("serves", ())),
        expected=part.get("expected", ""),
        skeleton=part.get("skeleton", ""),
    )


def reference_cost(request: Request) -> str:
    """Say in a sentence what the references of a request cost: shots, and an estimate of the time on the machine.

    A shot takes as long as its circuit and the 250 microseconds that IBM's machines wait between shots by default.
    """
    own, extra = ([p for p in request.prepared if bool(p.serves) is served] for served in (False, True))
    if not extra:
        return "no reference runs: one that was measured earlier costs nothing"
    shots = sum(sum(p.shots) for p in extra)
    seconds = sum(sum(p.shots) * (p.profile.duration + _BETWEEN) for p in extra)
    share = shots / sum(sum(p.shots) for p in own)
    many, circuits = (
        f"{len(part)} {name}" + "s" * (len(part) > 1) for part, name in ((extra, "reference"), (own, "circuit"))
    )
    return f"{many} for {circuits}: {shots} shots ({share:.0%} more), some {seconds:.1f} s on the machine"
