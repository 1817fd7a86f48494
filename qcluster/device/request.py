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
from qcluster.device.storage import check_format, dump_circuits, load_circuits, reading

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

FORMAT = "qcluster-request"
VERSION = 1


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
    noiseless: bool = False
    """True where a simulator without noise runs a circuit that brings none of its own."""


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
    """One per circuit."""

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
                "noiseless": p.noiseless,
                "qpy": base64.b64encode(dump_circuits(p.circuits)).decode("ascii"),
            }
            for p in self.prepared
        ]
        return json.dumps(content, allow_nan=False)

    @classmethod
    @reading(FORMAT)
    def from_json(cls, text: str) -> Request:
        """Read what `to_json` wrote; ValueError where the text is no request or from a newer version."""
        content = check_format(text, FORMAT, VERSION)
        fields = {f.name: content[f.name] for f in dataclasses.fields(cls)}
        fields["calibration"] = Calibration.from_json(json.dumps(content["calibration"]))
        quiet = content["kind"] == "simulator" and fields["calibration"].noiseless  # older requests do not say
        fields["prepared"] = tuple(_prepared({"noiseless": quiet, **part}) for part in content["prepared"])
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
        noiseless=bool(part["noiseless"]),
        circuits=tuple(load_circuits(base64.b64decode(part["qpy"]))),
    )
