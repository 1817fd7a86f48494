"""Facts of a compiled circuit that matter for its noise: measurements, gates, durations and idle times."""

from __future__ import annotations

import base64
import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qcluster.core.arithmetic import default_errstate
from qcluster.core.arrays import Floats
from qcluster.core.frozen import Frozen, freeze_arrays
from qcluster.device.circuits import timeline
from qcluster.device.circuits.qpy import dump_circuits, load_circuits
from qcluster.device.circuits.timeline import Place
from qcluster.device.storage import (
    check_format,
    check_plain,
    document_errors,
    load_text,
    of_file,
    read_array,
    write_document,
)
from qcluster.files import write_whole

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.machines.calibration import Calibration

FORMAT = "qcluster-profile"
VERSION = 1


@dataclass(frozen=True, eq=False)
class Profile(Frozen):
    """A compiled circuit and the facts that determine its noise.

    Qubits are physical qubits. Classical bits are numbered as in the circuit: bit j is column j of the counts.

    Example:
        >>> from qiskit import QuantumCircuit
        >>> from qcluster.device import read_profile
        >>> circuit = QuantumCircuit(3, 2)
        >>> _ = circuit.cx(0, 2), circuit.measure([2, 0], [0, 1])
        >>> profile = read_profile(circuit)
        >>> profile.measured.tolist(), profile.active.tolist(), dict(profile.gates)
        ([2, 0], [0, 2], {('cx', (0, 2)): 1})
        >>> Profile.from_json(profile.to_json()).circuit == circuit
        True
    """

    name: str
    """Name of the circuit."""
    registers: tuple[tuple[str, int], ...]
    """Classical registers as (name, size); the first register has the lowest bits."""
    n_qubits: int
    """Number of qubits of the compiled circuit, normally that of the machine."""
    measured: npt.NDArray[np.int64]
    """(n_bits,) physical qubit that was last measured into each bit; -1 for a bit without a measurement."""
    mid_circuit: npt.NDArray[np.bool_]
    """(n_bits,) True where the qubit is used after that measurement, or the measurement is inside control flow."""
    gates: Mapping[Place, int]
    """Number of uses of each gate on each tuple of qubits, without measurements, delays and barriers."""
    active: npt.NDArray[np.int64]
    """(n_active,) sorted physical qubits that have a gate or a measurement."""
    busy: Floats
    """(n_qubits,) seconds that each qubit spends in gates and measurements."""
    idle: Floats
    """(n_qubits,) seconds that each qubit is idle between its first and last operation, delays included."""
    duration: float
    """Seconds from the start of the first operation to the end of the last; 0 where no durations are known."""
    two_qubit_depth: int
    """Depth of the circuit, counting only gates on two or more qubits."""
    qpy: bytes
    """The compiled circuit in Qiskit's QPY format, layout included."""
    dt: float | None = None
    """Seconds per unit of the circuit's delays given in "dt"; None where that unit is not known."""

    def __post_init__(self) -> None:
        freeze_arrays(self)
        object.__setattr__(self, "gates", MappingProxyType(dict(self.gates)))

    def __repr__(self) -> str:
        return (
            f"Profile({self.name!r}, {self.n_bits} classical bits, {len(self.active)} of {self.n_qubits} qubits, "
            f"{self.n_two_qubit} two-qubit gates)"
        )

    @property
    def n_bits(self) -> int:
        """Number of classical bits."""
        return len(self.measured)

    @cached_property
    def circuit(self) -> QuantumCircuit:
        """The compiled circuit, read from `qpy`; changing it does not affect any other profile."""
        return load_circuits(self.qpy)[0]

    @property
    def counts_by_kind(self) -> dict[str, int]:
        """Number of uses of each kind of gate, such as {"cz": 9}."""
        kinds: Counter[str] = Counter()
        for (gate, _), count in self.gates.items():
            kinds[gate] += count
        return dict(kinds)

    @property
    def n_two_qubit(self) -> int:
        """Number of gates on two or more qubits."""
        return sum(count for (_, qubits), count in self.gates.items() if len(qubits) > 1)

    def counts_by_qubit(self, gate: str) -> npt.NDArray[np.int64]:
        """Count the uses of a kind of gate on each qubit, (n_qubits,). A two-qubit gate counts on both qubits."""
        uses = np.zeros(self.n_qubits, dtype=np.int64)
        for (kind, qubits), count in self.gates.items():
            if kind == gate:
                uses[list(qubits)] += count
        return uses

    def to_json(self) -> str:
        """Serialise the profile, circuit included, as JSON text."""
        gates = [[gate, qubits, count] for (gate, qubits), count in self.gates.items()]
        return write_document(self, FORMAT, VERSION, gates=gates)

    @classmethod
    @document_errors(FORMAT)
    def from_json(cls, text: str) -> Profile:
        """Read the output of `to_json`; ValueError if the text is not a profile, or comes from a newer version."""
        content = check_format(text, FORMAT, VERSION)
        content = {"dt": None, **content}  # older profiles have no dt
        check_plain(cls, content)
        fields: dict[str, Any] = {field.name: content[field.name] for field in dataclasses.fields(cls)}
        fields["registers"] = tuple((name, size) for name, size in content["registers"])
        sizes = [size if isinstance(name, str) and type(size) is int else -1 for name, size in fields["registers"]]
        if min(sizes, default=0) < 0:
            raise ValueError(f"registers must be pairs of a name and a size; got {content['registers']!r:.60}")
        fields["gates"] = {(gate, tuple(qubits)): count for gate, qubits, count in content["gates"]}
        if not all(isinstance(gate, str) and type(count) is int for (gate, _), count in fields["gates"].items()):
            raise ValueError(f"gates must be triples of a name, qubits and a number; got {content['gates']!r:.60}")
        fields["qpy"] = base64.b64decode(content["qpy"])
        kinds = {"measured": "i", "active": "i", "mid_circuit": "b", "busy": "f", "idle": "f"}
        fields |= {key: read_array(key, content[key], kind) for key, kind in kinds.items()}
        _check_qubits(fields)
        return cls(**fields)

    def save(self, path: str | Path) -> None:
        """Write the profile to a file, completely or not at all; StorageError if the file cannot be written."""
        write_whole(Path(path), self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> Profile:
        """Read a file written by `save`; ValueError if it is not a profile, StorageError if it cannot be read."""
        with of_file(path):
            return cls.from_json(load_text(Path(path)))


def _check_qubits(fields: Mapping[str, Any]) -> None:
    """Check that the arrays of a document are as long as they must be, and name qubits of the circuit; ValueError."""
    n, measured, active = fields["n_qubits"], fields["measured"], fields["active"]
    shapes = {"measured": (measured.size,), "mid_circuit": (measured.size,), "active": (active.size,)}
    for name, shape in (shapes | {"busy": (n,), "idle": (n,)}).items():
        if fields[name].shape != shape:
            raise ValueError(f"{name} of a profile must have shape {shape}; got {fields[name].shape}")
    used = [*measured[measured != -1].tolist(), *active.tolist(), *chain(*(qubits for _, qubits in fields["gates"]))]
    outside = [qubit for qubit in used if type(qubit) is not int or not 0 <= qubit < n]
    if outside:
        raise ValueError(f"qubits of a profile must lie in 0..{n - 1}; got {outside[0]!r:.60}")


@default_errstate
def read_profile(
    circuit: QuantumCircuit, calibration: Calibration | None = None, *, dt: float | None = None
) -> Profile:
    """Collect the facts of a compiled circuit in a `Profile`.

    Times assume that every operation starts as soon as its qubits are free. A scheduled circuit has its delays written
    out, so these are then the times of its schedule. In control flow, every block's gates are counted once, and its
    duration is taken as 0.

    Args:
        circuit: compiled for the machine, so that its qubits are the physical ones; scheduled if idle times matter.
        calibration: provides the durations of gates and measurements; without it, only delays take time.
        dt: seconds per unit of a delay given in "dt"; needed only if there are such delays.

    Raises:
        ValueError: blocks of control flow may measure different qubits into the same bit, or dt is missing
            or negative.
        TypeError: `circuit` is not a circuit, or `calibration` is not a calibration.

    Example:
        >>> from qiskit import QuantumCircuit
        >>> circuit = QuantumCircuit(3, 1)
        >>> _ = circuit.cx(0, 2), circuit.measure(2, 0)
        >>> profile = read_profile(circuit)
        >>> profile.measured.tolist(), profile.active.tolist(), profile.n_two_qubit
        ([2], [0, 2], 1)
    """
    timeline.check_circuit(circuit)
    if calibration is not None:
        timeline.check_calibration(calibration)
    dt = timeline.check_dt(dt)
    measured, mid = timeline.measurements(circuit)
    gates, used, depth = timeline.census(circuit)
    lengths = timeline.lengths(circuit, calibration, dt)
    busy, idle, duration = timeline.occupation(circuit, lengths)
    return Profile(
        name=str(circuit.name),
        registers=tuple((register.name, register.size) for register in circuit.cregs),
        n_qubits=circuit.num_qubits,
        measured=measured,
        mid_circuit=mid,
        gates=gates,
        active=np.array(sorted(used), dtype=np.int64),
        busy=busy,
        idle=idle,
        duration=duration,
        two_qubit_depth=depth,
        qpy=dump_circuits([circuit]),
        dt=dt,
    )
