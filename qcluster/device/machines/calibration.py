"""A machine's calibration: frozen numbers with a name and a date.

A mitigated result is worth keeping only if one can say later what was known about the machine. A `Calibration` is a
copy of the published figures, cut loose from the backend, that goes to JSON and back without loss.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qcluster.core.arithmetic import own_errstate
from qcluster.core.arrays import Floats
from qcluster.core.checks import check_whole
from qcluster.core.frozen import Frozen, freeze_arrays
from qcluster.device.machines import ibm_files, published
from qcluster.device.machines.model import read_model
from qcluster.device.machines.names import check_backend, open_named
from qcluster.device.storage import (
    check_format,
    decode_floats,
    encode_floats,
    load_text,
    of_file,
    reading,
    write_document,
)
from qcluster.errors import CalibrationError
from qcluster.files import parse_json, write_whole

FORMAT = "qcluster-calibration"
VERSION = 1

_UNLIMITED = 24
"""Qubits of a simulator that sets no limit: those of Qiskit's BasicSimulator."""

_FLOATS = ("t1", "t2", "readout", "readout_duration", "errors_1q", "durations_1q", "errors_2q", "durations_2q")


@dataclass(frozen=True, eq=False)
class Calibration(Frozen):
    """Hold what a machine published about itself at one moment; times in seconds, NaN where nothing is known.

    Two-qubit figures are per direction, as the machine lists them; `error` and `duration` look a gate up and fall
    back on the other direction. `assumed_error`, `assumed_readout` and `coherence` fill what is unknown, for
    simulations and predictions.

    Example:
        >>> from qcluster.device import Calibration
        >>> calibration = Calibration.ideal(2, backend="aer")
        >>> calibration.error("cz", (0, 1)), calibration.readout[1].tolist()
        (0.0, [0.0, 0.0])
        >>> Calibration.from_json(calibration.to_json()).identity == calibration.identity
        True

    Raises:
        ValueError: arrays that do not go together; a negative error or time, a readout error above 1, or a coupling of
            qubits that are not there.
    """

    backend: str
    """Name of the machine, "fake_torino"."""
    snapshot: str
    """Version the machine gives its figures, "1.0.54"; a hash of a simulator's noise model; empty where none is."""
    date: str
    """When the figures were last updated, ISO 8601; empty where unknown."""
    t1: Floats
    """(n_qubits,) relaxation times; inf for a noiseless machine."""
    t2: Floats
    """(n_qubits,) dephasing times, at most 2 t1."""
    readout: Floats
    """(n_qubits, 2): P(read 1|0), P(read 0|1)."""
    readout_symmetric: npt.NDArray[np.bool_]
    """(n_qubits,) True where only one figure was published, and stands for both."""
    readout_duration: Floats
    """(n_qubits,) length of a measurement."""
    gates_1q: tuple[str, ...]
    """Names of the one-qubit gates, the rows of `errors_1q`."""
    errors_1q: Floats
    """(n_gates_1q, n_qubits) error per gate."""
    durations_1q: Floats
    """(n_gates_1q, n_qubits) length of a gate."""
    couplings: npt.NDArray[np.int64]
    """(n_couplings, 2) directed pairs that carry a two-qubit gate."""
    gates_2q: tuple[str, ...]
    """Names of the two-qubit gates, the rows of `errors_2q`."""
    errors_2q: Floats
    """(n_gates_2q, n_couplings) error per gate; NaN where a pair lacks the gate."""
    durations_2q: Floats
    """(n_gates_2q, n_couplings) length of a gate."""
    dead_qubits: npt.NDArray[np.bool_]
    """(n_qubits,) True where readout or a one-qubit gate is published with error 1 or more."""
    dead_couplings: npt.NDArray[np.bool_]
    """(n_couplings,) True where every two-qubit gate of the pair has error 1 or more, or none."""

    def __post_init__(self) -> None:
        freeze_arrays(self)
        n, pairs = self.t1.size, len(self.couplings)
        one, two = (len(self.gates_1q), n), (len(self.gates_2q), pairs)
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(
            ("t1", "t2", "readout_symmetric", "readout_duration", "dead_qubits"), (n,)
        )
        shapes |= {"readout": (n, 2), "errors_1q": one, "durations_1q": one, "couplings": (pairs, 2)}
        shapes |= {"errors_2q": two, "durations_2q": two, "dead_couplings": (pairs,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} of a calibration must have shape {shape}; got {getattr(self, name).shape}")
        for name in _FLOATS:
            value, most = getattr(self, name), 1.0 if name == "readout" else np.inf
            wrong = (value < 0) | (value > most)
            if wrong.any():
                ends = "of at least 0" if most == np.inf else "in [0, 1]"
                raise ValueError(f"{name} of a calibration must be {ends}, or NaN where unknown; got {value[wrong][0]}")
        outside = self.couplings[((self.couplings < 0) | (self.couplings >= n)).any(axis=1)]
        if len(outside):
            raise ValueError(f"couplings of a calibration must join qubits 0..{n - 1}; got {outside[0].tolist()}")

    @classmethod
    def ideal(cls, n_qubits: int, *, backend: str = "ideal") -> Calibration:
        """Describe a machine without errors, such as a plain simulator: no gate is listed, every error is 0."""
        n = check_whole("n_qubits", n_qubits, 0)
        none = np.zeros((0, n))
        return cls(
            backend=backend, snapshot="", date="",
            t1=np.full(n, np.inf), t2=np.full(n, np.inf),
            readout=np.zeros((n, 2)), readout_symmetric=np.zeros(n, dtype=bool), readout_duration=np.zeros(n),
            gates_1q=(), errors_1q=none, durations_1q=none,
            couplings=np.zeros((0, 2), dtype=np.int64), gates_2q=(), errors_2q=np.zeros((0, 0)),
            durations_2q=np.zeros((0, 0)),
            dead_qubits=np.zeros(n, dtype=bool), dead_couplings=np.zeros(0, dtype=bool),
        )  # fmt: skip

    @property
    def n_qubits(self) -> int:
        """Number of qubits of the machine."""
        return len(self.t1)

    @property
    def noiseless(self) -> bool:
        """True for a machine that lists no gates and no readout errors: a plain simulator."""
        return not self.gates_1q and not self.gates_2q and bool((self.readout == 0).all() and np.isinf(self.t1).all())

    @property
    def harmless(self) -> bool:
        """True where no error and no coherence time is published: a simulation of this machine has no noise."""
        errors = (self.errors_1q, self.errors_2q, self.readout)
        times = (self.t1, self.t2)
        return not any(np.nan_to_num(error).any() for error in errors) and not any(
            np.isfinite(time).any() for time in times
        )

    @cached_property
    def identity(self) -> str:
        """Hash of the content (16 hexadecimal digits): equal calibrations are equal numbers, not equal objects."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    @cached_property
    def _columns(self) -> dict[tuple[int, ...], int]:
        return {(int(a), int(b)): i for i, (a, b) in enumerate(self.couplings)}

    def error(self, gate: str, qubits: Sequence[int]) -> float:
        """Look up the error of a gate at a place.

        Args:
            gate: name of the gate, or "measure" (the mean of both readout errors).
            qubits: one or two physical qubits, in either order.

        Returns:
            The published error; 0 on a noiseless machine; NaN where the machine lists no such gate there.

        Raises:
            ValueError: a qubit lies outside the machine.
        """
        if gate == "measure":
            self._check(qubits)
            return float(self.readout[qubits[0]].mean())
        return self._lookup(self.errors_1q, self.errors_2q, gate, qubits)

    def duration(self, gate: str, qubits: Sequence[int]) -> float:
        """Look up the length of a gate or measurement at a place, in seconds; arguments and errors as in `error`."""
        if gate == "measure":
            self._check(qubits)
            return float(self.readout_duration[qubits[0]])
        return self._lookup(self.durations_1q, self.durations_2q, gate, qubits)

    def assumed_error(self, gate: str, qubits: Sequence[int]) -> float:
        """Give the error to reckon with at a place, in simulations and predictions.

        It is the published one; 1, a gate that does nothing right, for what is dead; the median of the machine's living
        gates of that name where no figure is published; and 0 where the machine publishes none for any of them.

        Args:
            gate: name of the gate.
            qubits: one or two physical qubits, in either order.

        Returns:
            A number in [0, 1]; NaN where the machine knows no gate of that name.

        Raises:
            ValueError: a qubit lies outside the machine.
        """
        error = self.error(gate, qubits)
        if np.isnan(error) and gate not in self._medians:
            return error
        if self.is_dead(gate, qubits):
            return 1.0
        return self._medians[gate] if np.isnan(error) else error

    def assumed_readout(self, qubit: int) -> tuple[float, float]:
        """Give P(read 1|0) and P(read 0|1) to reckon with, as `assumed_error` does; (0.5, 0.5) where both are 1.

        A qubit that is read wrongly each time is not one that is read well: the published 1 says that readout failed.
        """
        self._check([qubit])
        zero, one = self._filled_readout[qubit].tolist()
        return (0.5, 0.5) if zero >= 1 and one >= 1 else (min(zero, 1.0), min(one, 1.0))

    def readout_of(self, measured: npt.ArrayLike) -> Floats:
        """Give the readout errors of classical bits, ``(n_bits, 2)``, as `assumed_readout` does.

        Args:
            measured: (n_bits,) the qubit that each bit holds, as in `Profile.measured`; -1 for a bit that holds none,
                which has no errors.

        Raises:
            ValueError: a qubit lies outside the machine.

        Example:
            >>> Calibration.ideal(3).readout_of([2, -1]).tolist()
            [[0.0, 0.0], [0.0, 0.0]]
        """
        qubits = np.asarray(measured, dtype=np.int64)
        errors = np.zeros((len(qubits), 2))
        for bit in np.flatnonzero(qubits != -1):  # -1 as an index would be the machine's last qubit
            errors[bit] = self.assumed_readout(int(qubits[bit]))
        return errors

    def coherence(self, qubit: int) -> tuple[float, float]:
        """Give T1 and T2 to reckon with, in seconds: the median of the machine where a qubit has no positive figure,
        infinite where none has; T2 is at most 2 T1."""
        self._check([qubit])
        t1, t2 = self._filled_times[:, qubit].tolist()
        return t1, min(t2, 2 * t1)

    def is_faulty(self, qubit: int) -> bool:
        """Tell whether a qubit is reported as out of order altogether, whatever its published figures."""
        self._check([qubit])
        return bool(self._faulty[qubit])

    def is_dead(self, gate: str, qubits: Sequence[int]) -> bool:
        """Tell whether a gate or "measure" is out of order at a place: published with error 1 or more, or reported
        as faulty, itself or one of its qubits."""
        if gate == "measure":
            (qubit,) = qubits
            self._check(qubits)
            return bool((self.readout[qubit] >= 1).any() or self._faulty[qubit])
        if self.error(gate, qubits) >= 1 or self._faulty[list(qubits)].any():
            return True
        return any(self.dead_couplings[column] for column in self._found(qubits)[:1])

    @cached_property
    def _faulty(self) -> npt.NDArray[np.bool_]:
        """Dead qubits whose figures do not say why: everything there is out of order."""
        said = (self.readout >= 1).any(axis=1) | published.dead(self.errors_1q).any(axis=0)
        return np.asarray(self.dead_qubits & ~said)

    @cached_property
    def _medians(self) -> dict[str, float]:
        rows = [*zip(self.gates_1q, self.errors_1q, strict=True), *zip(self.gates_2q, self.errors_2q, strict=True)]
        return {name: _median(row, alive=row < 1, otherwise=0.0) for name, row in rows}

    @cached_property
    def _filled_readout(self) -> Floats:
        typical = [_median(column, alive=column < 1, otherwise=0.0) for column in self.readout.T]
        return np.where(np.isnan(self.readout), typical, self.readout)

    @cached_property
    def _filled_times(self) -> Floats:
        times = np.stack([self.t1, self.t2])
        typical = [[_median(row, alive=row > 0, otherwise=np.inf)] for row in times]
        return np.where(times > 0, times, typical)

    def _check(self, qubits: Sequence[int]) -> None:
        for qubit in qubits:
            if not 0 <= qubit < self.n_qubits:
                raise ValueError(f"qubits must lie in 0..{self.n_qubits - 1} on {self.backend}; got {qubit}")

    def _found(self, qubits: Sequence[int]) -> list[int]:
        """Columns of a pair of qubits: in the direction given, then in the other."""
        if len(qubits) != 2:
            return []
        a, b = qubits
        return [self._columns[pair] for pair in ((a, b), (b, a)) if pair in self._columns]

    def _lookup(self, one: Floats, two: Floats, gate: str, qubits: Sequence[int]) -> float:
        self._check(qubits)
        if self.noiseless:
            return 0.0
        if len(qubits) == 1 and gate in self.gates_1q:
            return float(one[self.gates_1q.index(gate), qubits[0]])
        if len(qubits) == 2 and gate in self.gates_2q:
            row = two[self.gates_2q.index(gate)]
            for column in self._found(qubits):
                if not np.isnan(row[column]):
                    return float(row[column])
        return float("nan")

    def to_json(self) -> str:
        """Write everything as JSON text, floats exactly (shortest text that reads back to the same number)."""
        floats = {name: getattr(self, name) for name in _FLOATS}
        written = {name: {"shape": v.shape, "values": encode_floats(v.ravel())} for name, v in floats.items()}
        return write_document(self, FORMAT, VERSION, **written)

    @classmethod
    @reading(FORMAT)
    def from_json(cls, text: str) -> Calibration:
        """Read what `to_json` wrote.

        Raises:
            ValueError: the text is no calibration, or was written by a newer version.
        """
        content = check_format(text, FORMAT, VERSION)
        fields: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            value = content[field.name]
            if field.name in _FLOATS:
                fields[field.name] = decode_floats(value["values"]).reshape(value["shape"])
            elif field.name == "couplings":
                fields[field.name] = np.array(value, dtype=np.int64).reshape(-1, 2)
            elif field.name.startswith(("dead", "readout_symmetric")):
                fields[field.name] = np.array(value, dtype=bool)
            else:
                fields[field.name] = tuple(value) if isinstance(value, list) else value
        return cls(**fields)

    def save(self, path: str | Path) -> None:
        """Write to a file, whole or not at all; StorageError where it cannot be written."""
        write_whole(Path(path), self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Read a file that `save` wrote, or one of IBM's: the CSV that the platform's page offers for a machine, or
        ``BackendProperties.to_dict()`` as JSON.

        Raises:
            ValueError: it is none of these, or damaged.
            StorageError: it cannot be read.
        """
        with of_file(path):
            text = load_text(Path(path))
            if ibm_files.is_csv(text):
                with reading("calibration in CSV"):
                    return cls(**ibm_files.from_csv(text, Path(path).stem))
            if '"backend_name"' in text and ibm_files.is_properties(content := parse_json(text)):
                with reading("BackendProperties document"):
                    return cls(**ibm_files.from_properties(content))
            return cls.from_json(text)


def _median(values: Floats, *, alive: npt.NDArray[np.bool_], otherwise: float) -> float:
    return float(np.median(values[alive])) if alive.any() else otherwise


@own_errstate
def read_calibration(backend: Any, at: datetime.datetime | None = None) -> Calibration:
    """Copy the published figures of a backend, fake or real, with the same code.

    Gate errors and lengths come from the backend's target, because the properties of newer machines list gates that
    the machine does not offer. Both readout errors come from the properties, where the target knows only their mean;
    T2 is cut at 2 T1. A plain simulator gives `Calibration.ideal`, one with a noise model of its own what this says:
    readout errors, and the average infidelity of the channel behind each gate.

    Args:
        backend: a Qiskit `BackendV2`, or a name as `qcluster.execute` takes it, such as "fake_torino".
        at: of a real machine: what it had published at this moment; by default now.

    Raises:
        TypeError, ValueError: what is no backend, or no name of one.
        AccountError: the machine is a real one, and cannot be asked.
        CalibrationError: the machine does not tell what it had published then.

    Returns:
        The calibration. Reading 133 qubits takes some 10 ms and no network beyond what the backend needs itself.

    Example:
        >>> from qcluster.device import read_calibration
        >>> read_calibration("fake_manila").readout.shape
        (5, 2)
    """
    backend = open_named(backend) if isinstance(backend, str) else backend
    check_backend(backend)
    when = {} if at is None else {"datetime": at.astimezone(datetime.UTC)}
    target = backend.target_history(**when) if when else backend.target
    name = str(backend.name)
    n = int(target.num_qubits or backend.num_qubits or _UNLIMITED)
    noise = getattr(getattr(backend, "options", None), "noise_model", None)
    properties = backend.properties(**when) if callable(getattr(backend, "properties", None)) else None
    if at is not None and properties is None:
        raise CalibrationError(f"{name} tells nothing of what it had published at {at.isoformat()}")
    if hasattr(backend, "set_option") and properties is None and target.qubit_properties is None:
        ideal = Calibration.ideal(n, backend=name)
        if noise is None or noise.is_ideal():
            return ideal
        unknown = np.full(n, np.nan)
        return dataclasses.replace(ideal, **read_model(noise, n), t1=unknown, t2=unknown)
    t1, t2 = published.coherence(target, properties, n)
    readout, symmetric, length = published.readout(target, properties, n)
    ones, twos = published.gate_names(target)
    places = [(q,) for q in range(n)]
    pairs = sorted({tuple(map(int, qargs)) for gate in twos for qargs in target[gate]})
    errors_1q, durations_1q = published.gate_tables(target, ones, places)
    errors_2q, durations_2q = published.gate_tables(target, twos, pairs)
    dead_qubits, dead_couplings = published.dead_masks(errors_1q, readout, errors_2q)
    if properties is not None:
        dead_qubits[[q for q in properties.faulty_qubits() if q < n]] = True
        faulty = {tuple(gate.qubits) for gate in properties.faulty_gates() if len(gate.qubits) == 2}
        dead_couplings |= np.array([pair in faulty for pair in pairs], dtype=bool)
    date = getattr(properties, "last_update_date", None)
    return Calibration(
        backend=name,
        snapshot=str(getattr(properties, "backend_version", "") or ""),
        date=date.isoformat() if date is not None else "",
        t1=t1, t2=t2, readout=readout, readout_symmetric=symmetric, readout_duration=length,
        gates_1q=ones, errors_1q=errors_1q, durations_1q=durations_1q,
        couplings=np.array(pairs, dtype=np.int64).reshape(-1, 2), gates_2q=twos,
        errors_2q=errors_2q, durations_2q=durations_2q,
        dead_qubits=dead_qubits, dead_couplings=dead_couplings,
    )  # fmt: skip
