"""A machine's calibration: its published errors and times, with the machine's name and a date.

A mitigated result can be judged later only if the calibration it was based on is known. A `Calibration` is therefore a
copy of the published figures, independent of the backend, that is stored as JSON without loss.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
from collections.abc import Sequence, Sized
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qcluster.core.arithmetic import default_errstate
from qcluster.core.arrays import Floats
from qcluster.core.checks import check_whole
from qcluster.core.counts.read import MOST_BITS
from qcluster.core.frozen import Frozen, freeze_arrays
from qcluster.core.words import plural, short_repr
from qcluster.device.machines import ibm_files, published
from qcluster.device.machines.model import read_model
from qcluster.device.machines.names import check_backend, open_named
from qcluster.device.storage import (
    check_format,
    check_plain,
    decode_floats,
    document_errors,
    encode_floats,
    load_text,
    of_file,
    read_array,
    write_document,
)
from qcluster.errors import CalibrationError
from qcluster.files import parse_json, write_whole

FORMAT = "qcluster-calibration"
VERSION = 1

_DEFAULT_WIDTH = 24
"""Number of qubits assumed for a simulator that sets no limit: that of Qiskit's BasicSimulator."""

_FLOATS = ("t1", "t2", "readout", "readout_duration", "errors_1q", "durations_1q", "errors_2q", "durations_2q")
"""Fields that are arrays of floats, in which NaN means unknown."""


@dataclass(frozen=True, eq=False)
class Calibration(Frozen):
    """The figures that a machine published about itself at one time. Times are in seconds; unknown figures are NaN.

    Two-qubit figures are per direction, as the machine lists them; `error` and `duration` fall back on the other
    direction of a gate. `assumed_error`, `assumed_readout` and `coherence` return values for unknown figures too, for
    simulations and predictions.

    Example:
        >>> from qcluster.device import Calibration
        >>> calibration = Calibration.ideal(2, backend="aer")
        >>> calibration.error("cz", (0, 1)), calibration.readout[1].tolist()
        (0.0, [0.0, 0.0])
        >>> Calibration.from_json(calibration.to_json()).identity == calibration.identity
        True

    Raises:
        ValueError: shapes of arrays do not match, an error or time is negative, a readout error is above 1, or a
            coupling joins qubits that do not exist.
    """

    backend: str
    """Name of the machine, such as "fake_torino"."""
    snapshot: str
    """Version that the machine gives its figures, such as "1.0.54"; for a simulator, a hash of its noise model; empty
    if there is neither."""
    date: str
    """Time of the last update of the figures, ISO 8601; empty if unknown."""
    t1: Floats
    """(n_qubits,) relaxation times; inf for a noiseless machine."""
    t2: Floats
    """(n_qubits,) dephasing times, at most 2 t1."""
    readout: Floats
    """(n_qubits, 2): P(read 1|0), P(read 0|1)."""
    readout_symmetric: npt.NDArray[np.bool_]
    """(n_qubits,) bool. True where a single figure was published, which is used for both errors."""
    readout_duration: Floats
    """(n_qubits,) length of a measurement."""
    gates_1q: tuple[str, ...]
    """Names of the one-qubit gates, the rows of `errors_1q`."""
    errors_1q: Floats
    """(n_gates_1q, n_qubits) error per gate."""
    durations_1q: Floats
    """(n_gates_1q, n_qubits) length of a gate."""
    couplings: npt.NDArray[np.int64]
    """(n_couplings, 2) directed pairs of qubits that have a two-qubit gate."""
    gates_2q: tuple[str, ...]
    """Names of the two-qubit gates, the rows of `errors_2q`."""
    errors_2q: Floats
    """(n_gates_2q, n_couplings) error per gate; NaN if a pair does not have the gate."""
    durations_2q: Floats
    """(n_gates_2q, n_couplings) length of a gate."""
    dead_qubits: npt.NDArray[np.bool_]
    """(n_qubits,) bool. True where the qubit is reported as faulty, or its readout or a one-qubit gate has a published
    error of 1 or more."""
    dead_couplings: npt.NDArray[np.bool_]
    """(n_couplings,) bool. True where a two-qubit gate of the pair is reported as faulty, or where at least one has a
    published error of 1 or more and no other has a smaller one."""

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

    def __repr__(self) -> str:
        size = f"{plural(self.n_qubits, 'qubit')}, {plural(len(self.couplings), 'coupling')}"
        return f"Calibration({', '.join([repr(self.backend), size, *([self.date] if self.date else [])])})"

    @classmethod
    def ideal(cls, n_qubits: int, *, backend: str = "ideal") -> Calibration:
        """Make the calibration of a machine without errors, such as a plain simulator: no gates, and all errors 0."""
        n = check_whole("n_qubits", n_qubits, 0, MOST_BITS)
        empty = np.zeros((0, n))
        return cls(
            backend=backend, snapshot="", date="",
            t1=np.full(n, np.inf), t2=np.full(n, np.inf),
            readout=np.zeros((n, 2)), readout_symmetric=np.zeros(n, dtype=bool), readout_duration=np.zeros(n),
            gates_1q=(), errors_1q=empty, durations_1q=empty,
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
        """True for a machine that lists no gates, readout errors or finite T1: a plain simulator."""
        return not self.gates_1q and not self.gates_2q and bool((self.readout == 0).all() and np.isinf(self.t1).all())

    @property
    def harmless(self) -> bool:
        """True if no nonzero error and no finite coherence time is published, so that a simulation has no noise."""
        errors = (self.errors_1q, self.errors_2q, self.readout)
        times = (self.t1, self.t2)
        return not any(np.nan_to_num(error).any() for error in errors) and not any(
            np.isfinite(time).any() for time in times
        )

    @cached_property
    def identity(self) -> str:
        """Hash of the content, 16 hexadecimal digits: the same for calibrations with the same figures."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    @cached_property
    def _columns(self) -> dict[tuple[int, ...], int]:
        """Index of each coupling, by its pair of qubits."""
        return {(int(a), int(b)): i for i, (a, b) in enumerate(self.couplings)}

    def error(self, gate: str, qubits: Sequence[int]) -> float:
        """Return the published error of a gate on given qubits.

        Args:
            gate: name of the gate, or "measure" for the mean of both readout errors.
            qubits: one or two physical qubits, in either order, such as ``(0,)``; one for "measure".

        Returns:
            The published error; 0 on a noiseless machine; NaN if the machine lists no such gate there.

        Raises:
            ValueError: a qubit lies outside the machine, or `qubits` is not a sequence of qubits.
        """
        if gate == "measure":
            return float(self.readout[self._measured(qubits)].mean())
        return self._lookup(self.errors_1q, self.errors_2q, gate, qubits)

    def duration(self, gate: str, qubits: Sequence[int]) -> float:
        """Return the duration of a gate or measurement, in seconds; arguments and errors as in `error`."""
        if gate == "measure":
            return float(self.readout_duration[self._measured(qubits)])
        return self._lookup(self.durations_1q, self.durations_2q, gate, qubits)

    def assumed_error(self, gate: str, qubits: Sequence[int]) -> float:
        """Return the error to assume for a gate in simulations and predictions.

        It is 1 for a dead gate, and otherwise the published error. If none is published for these qubits, it is the
        median of the machine's working gates of that name, and 0 if none of these has a published error.

        Args:
            gate: name of the gate.
            qubits: one or two physical qubits, in either order.

        Returns:
            A number in [0, 1]; NaN if the machine has no gate of that name.

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
        """Return P(read 1|0) and P(read 0|1) to assume, with unknown ones filled by medians; (0.5, 0.5) if both are 1.

        Taken literally, errors of 1 would mean a readout that is always inverted. Published, they mean that it failed.
        """
        self._check([qubit])
        zero, one = self._filled_readout[qubit].tolist()
        return (0.5, 0.5) if zero >= 1 and one >= 1 else (min(zero, 1.0), min(one, 1.0))

    def readout_of(self, measured: npt.ArrayLike) -> Floats:
        """Return the readout errors of classical bits, ``(n_bits, 2)``, as `assumed_readout` gives them.

        Args:
            measured: (n_bits,) the qubit measured into each bit, as in `Profile.measured`; -1 for a bit without a
                measurement, which has no errors.

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
        """Return T1 and T2 to assume for a qubit, in seconds; T2 is at most 2 T1.

        A time that is unknown or not positive is replaced by the median over the machine, or by infinity if no qubit
        has one.
        """
        self._check([qubit])
        t1, t2 = self._filled_times[:, qubit].tolist()
        return t1, min(t2, 2 * t1)

    def is_faulty(self, qubit: int) -> bool:
        """True if a qubit is reported as faulty as a whole, although its published figures do not show it."""
        self._check([qubit])
        return bool(self._faulty[qubit])

    def is_dead(self, gate: str, qubits: Sequence[int]) -> bool:
        """True if a gate or "measure" is dead on these qubits: its published error is 1 or more, or the gate or one of
        its qubits is reported as faulty."""
        if gate == "measure":
            qubit = self._measured(qubits)
            return bool((self.readout[qubit] >= 1).any() or self._faulty[qubit])
        if self.error(gate, qubits) >= 1 or self._faulty[list(qubits)].any():
            return True
        return any(self.dead_couplings[column] for column in self._pair_columns(qubits)[:1])

    @cached_property
    def _faulty(self) -> npt.NDArray[np.bool_]:
        """Dead qubits whose published figures do not show why: every operation on them counts as dead."""
        explained = (self.readout >= 1).any(axis=1) | published.dead(self.errors_1q).any(axis=0)
        return np.asarray(self.dead_qubits & ~explained)

    @cached_property
    def _medians(self) -> dict[str, float]:
        rows = [*zip(self.gates_1q, self.errors_1q, strict=True), *zip(self.gates_2q, self.errors_2q, strict=True)]
        return {name: _median(row, alive=row < 1, default=0.0) for name, row in rows}

    @cached_property
    def _filled_readout(self) -> Floats:
        medians = [_median(column, alive=column < 1, default=0.0) for column in self.readout.T]
        return np.where(np.isnan(self.readout), medians, self.readout)

    @cached_property
    def _filled_times(self) -> Floats:
        times = np.stack([self.t1, self.t2])
        medians = [[_median(row, alive=row > 0, default=np.inf)] for row in times]
        return np.where(times > 0, times, medians)

    def _check(self, qubits: Sequence[int]) -> None:
        if not isinstance(qubits, Sized) or not len(qubits):
            raise ValueError(f"qubits must be a sequence of qubits, such as (0,) or (0, 1); got {short_repr(qubits)}")
        for qubit in qubits:
            if not isinstance(qubit, Integral) or not 0 <= qubit < self.n_qubits:
                raise ValueError(f"qubits must lie in 0..{self.n_qubits - 1} on {self.backend}; got {qubit}")

    def _measured(self, qubits: Sequence[int]) -> int:
        """Return the single qubit of a measurement; ValueError if there are several."""
        self._check(qubits)
        if len(qubits) > 1:
            raise ValueError(f"a measurement must have one qubit, such as (0,); got {short_repr(qubits)}")
        return qubits[0]

    def _pair_columns(self, qubits: Sequence[int]) -> list[int]:
        """Indices of the couplings of a pair of qubits: in the given direction, then in the other one."""
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
            for column in self._pair_columns(qubits):
                if not np.isnan(row[column]):
                    return float(row[column])
        return float("nan")

    def to_json(self) -> str:
        """Return everything as JSON text; floats are exact (the shortest text that reads back as the same number)."""
        floats = {name: getattr(self, name) for name in _FLOATS}
        encoded = {name: {"shape": v.shape, "values": encode_floats(v.ravel())} for name, v in floats.items()}
        return write_document(self, FORMAT, VERSION, **encoded)

    @classmethod
    @document_errors(FORMAT)
    def from_json(cls, text: str) -> Calibration:
        """Read the JSON text of `to_json`.

        Raises:
            ValueError: the text is not a calibration, or was written by a newer version.
        """
        content = check_format(text, FORMAT, VERSION)
        check_plain(cls, content)
        fields: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            value = content[field.name]
            if field.name in _FLOATS:
                fields[field.name] = decode_floats(value["values"]).reshape(value["shape"])
            elif field.name == "couplings":
                fields[field.name] = read_array(field.name, value, "i").reshape(-1, 2)
            elif field.name.startswith(("dead", "readout_symmetric")):
                fields[field.name] = read_array(field.name, value, "b")
            else:
                fields[field.name] = tuple(value) if isinstance(value, list) else value
        return cls(**fields)

    def save(self, path: str | Path) -> None:
        """Write to a file, completely or not at all; StorageError if it cannot be written."""
        write_whole(Path(path), self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Read a file that `save` wrote, or one in IBM's formats.

        These are the CSV that the web page of the platform offers for a machine, and ``BackendProperties.to_dict()`` as
        JSON.

        Raises:
            ValueError: the file is none of these, or damaged.
            StorageError: the file cannot be read.
        """
        with of_file(path):
            text = load_text(Path(path))
            if ibm_files.is_csv(text):
                with document_errors("calibration in CSV"):
                    return cls(**ibm_files.from_csv(text, Path(path).stem))
            if '"backend_name"' in text and ibm_files.is_properties(content := parse_json(text)):
                with document_errors("BackendProperties document"):
                    return cls(**ibm_files.from_properties(content))
            return cls.from_json(text)


def _median(values: Floats, *, alive: npt.NDArray[np.bool_], default: float) -> float:
    """Median of the values where `alive` is True; `default` if it is nowhere."""
    return float(np.median(values[alive])) if alive.any() else default


@default_errstate
def read_calibration(backend: Any, at: datetime.datetime | None = None) -> Calibration:
    """Copy the published figures of a backend, recorded or real.

    Gate errors and durations come from the backend's target, because the properties of newer machines list gates that
    the machine does not offer. The two readout errors come from the properties, since the target has only their mean.
    T2 is limited to 2 T1. A plain simulator gives `Calibration.ideal`. A simulator with a noise model gives the readout
    errors of the model, and the average infidelity of the channel behind each gate.

    Args:
        backend: a Qiskit `BackendV2`, or a name as `qcluster.execute` takes it, such as "fake_torino".
        at: for a real machine, the time whose figures are wanted; by default now.

    Raises:
        TypeError, ValueError: not a backend, or not the name of one.
        AccountError: the machine is a real one and cannot be reached.
        CalibrationError: the machine does not provide its figures at that time.

    Returns:
        The calibration. Reading 133 qubits takes some 10 ms; the network is used only by the backend itself.

    Example:
        >>> from qcluster.device import read_calibration
        >>> read_calibration("fake_manila").readout.shape
        (5, 2)
    """
    backend = open_named(backend) if isinstance(backend, str) else backend
    check_backend(backend)
    name = str(backend.name)
    if at is not None and not isinstance(at, datetime.datetime):
        raise TypeError(f"at must be a datetime, or None for now; got {short_repr(at)}")
    if at is not None and not hasattr(backend, "target_history"):
        raise CalibrationError(f"{name} is not a real machine, and keeps no figures of other times")
    when = {} if at is None else {"datetime": at.astimezone(datetime.UTC)}
    target = backend.target_history(**when) if when else backend.target
    n = int(target.num_qubits or backend.num_qubits or _DEFAULT_WIDTH)
    noise = getattr(getattr(backend, "options", None), "noise_model", None)
    properties = backend.properties(**when) if callable(getattr(backend, "properties", None)) else None
    if at is not None and properties is None:
        raise CalibrationError(f"{name} does not provide the calibration it had published at {at.isoformat()}")
    if hasattr(backend, "set_option") and properties is None and target.qubit_properties is None:
        ideal = Calibration.ideal(n, backend=name)
        if noise is None or noise.is_ideal():
            return ideal
        unknown = np.full(n, np.nan)
        return dataclasses.replace(ideal, **read_model(noise, n), t1=unknown, t2=unknown)
    t1, t2 = published.coherence(target, properties, n)
    readout, symmetric, readout_duration = published.readout(target, properties, n)
    gates_1q, gates_2q = published.gate_names(target)
    singles = [(q,) for q in range(n)]
    pairs = sorted({tuple(map(int, qargs)) for gate in gates_2q for qargs in target[gate]})
    errors_1q, durations_1q = published.gate_tables(target, gates_1q, singles)
    errors_2q, durations_2q = published.gate_tables(target, gates_2q, pairs)
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
        t1=t1, t2=t2, readout=readout, readout_symmetric=symmetric, readout_duration=readout_duration,
        gates_1q=gates_1q, errors_1q=errors_1q, durations_1q=durations_1q,
        couplings=np.array(pairs, dtype=np.int64).reshape(-1, 2), gates_2q=gates_2q,
        errors_2q=errors_2q, durations_2q=durations_2q,
        dead_qubits=dead_qubits, dead_couplings=dead_couplings,
    )  # fmt: skip
