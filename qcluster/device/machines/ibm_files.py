"""Calibrations in IBM's file formats: the CSV that the platform's web page offers, and ``BackendProperties`` as JSON.

Both list measured errors but not which gates the machine offers, so every gate with an error is included.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.device.machines import published

_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9, "": 1.0}

_TITLES_1Q = {
    "id error": "id",
    "√x (sx) error": "sx",
    "pauli-x error": "x",
    "z-axis rotation (rz) error": "rz",
    "rx error": "rx",
}
"""Titles of the columns with errors of one-qubit gates, and the gates."""
_LENGTH_1Q = "single-qubit gate length"
"""Title of the column, in newer files, with the duration of all one-qubit gates except rz, a virtual gate."""
_TITLES_2Q = {"cnot error": "cx", "cz error": "cz", "ecr error": "ecr", "rzz error": "rzz"}
"""Titles of the columns with errors of two-qubit gates, and the gates."""

GateValues = dict[str, dict[tuple[int, ...], float]]
"""Errors or durations, by gate and qubits."""


def is_csv(text: str) -> bool:
    """True if a text begins as IBM's CSV does."""
    return text.lstrip()[:40].lower().replace('"', "").startswith("qubit,")


def is_properties(content: Any) -> bool:
    """True if a document is a ``BackendProperties.to_dict()``."""
    return isinstance(content, Mapping) and {"backend_name", "qubits", "gates"} <= set(content)


def from_csv(text: str, name: str) -> dict[str, Any]:
    """Read the CSV of the platform's web page as fields of a `Calibration`.

    Args:
        text: the content of the file.
        name: the name of the file, which alone holds the machine and the date, such as
            "ibm_hanoi_calibrations_2023-07-13T10_00_00Z".

    Raises:
        ValueError: a column or line is wrong.
    """
    lines = list(csv.reader(io.StringIO(text.lstrip("\ufeff"))))
    header = [title.strip().lower() for title in lines[0]]
    rows = [dict(zip(header, line, strict=False)) for line in lines[1:] if any(cell.strip() for cell in line)]
    if [row["qubit"].strip() for row in rows] != [str(q) for q in range(len(rows))] or not rows:
        raise ValueError("a calibration in CSV must have a line for each qubit, numbered from 0")
    errors: GateValues = {}
    durations: GateValues = {}
    for title, gate in _TITLES_1Q.items():
        if title in header:
            errors[gate] = {(q,): _number(row[title], title, q) for q, row in enumerate(rows)}
    lengths = _column(rows, _LENGTH_1Q)
    for gate in errors:
        durations[gate] = {(q,): 0.0 if gate == "rz" else seconds for q, seconds in enumerate(lengths.tolist())}
    if "sx" in errors and "rz" not in errors:  # older files omit rz, a virtual gate without error or duration
        errors["rz"] = durations["rz"] = {(q,): 0.0 for q in range(len(rows))}
    time = next((title for title in header if title.startswith(("gate time", "gate length"))), None)
    for title, gate in _TITLES_2Q.items():
        if title in header:
            errors[gate] = dict(pair for q, row in enumerate(rows) for pair in _pairs(row[title], title, q))
            if time is not None:
                unit = _unit(time)
                times = dict(pair for q, row in enumerate(rows) for pair in _pairs(row[time], time, q))
                durations[gate] = {pair: times[pair] * unit for pair in errors[gate] if pair in times}
    readout = np.array([_column(rows, f"prob meas{read} prep{1 - read}") for read in (1, 0)]).T
    faulty = [q for q, row in enumerate(rows) if row.get("operational", "").strip().lower() in {"false", "no", "0"}]
    machine = re.match(r"(?:ibm[a-z]*_[a-z0-9]+|[a-z]+)", name.lower())
    date = re.search(r"\d{4}-\d\d-\d\d(?:[T_ ]\d\d[_:]\d\d[_:]\d\dZ?)?", name)
    fields = {
        "backend": machine.group() if machine else name,
        "snapshot": "",
        "date": re.sub(r"(?<=T\d\d)_(\d\d)_", r":\1:", date.group()) if date else "",
        "t1": _column(rows, "t1"),
        "t2": _column(rows, "t2"),
        "readout_duration": _column(rows, "readout length"),
    }
    return _complete(fields, readout, _column(rows, "readout assignment error"), errors, durations, faulty)


def from_properties(content: Mapping[str, Any]) -> dict[str, Any]:
    """Read ``BackendProperties.to_dict()`` as fields of a `Calibration`; KeyError or TypeError if it is not one."""
    qubits = [_figures(qubit) for qubit in content["qubits"]]
    errors: GateValues = {}
    durations: GateValues = {}
    for gate in content["gates"]:
        place = tuple(int(q) for q in gate["qubits"])
        values = _figures(gate["parameters"])
        if len(place) > 2 or "gate_error" not in values or gate["gate"].startswith(("measure", "reset")):
            continue
        works = values.get("operational", 1) != 0
        errors.setdefault(gate["gate"], {})[place] = values["gate_error"] if works else 1.0
        durations.setdefault(gate["gate"], {})[place] = values.get("gate_length", math.nan)

    def column(name: str) -> Floats:
        return np.array([qubit.get(name, math.nan) for qubit in qubits], dtype=np.float64)

    readout = np.stack([column("prob_meas1_prep0"), column("prob_meas0_prep1")], axis=1)
    fields = {
        "backend": str(content["backend_name"]),
        "snapshot": str(content.get("backend_version", "")),
        "date": _date(content.get("last_update_date", "")),
        "t1": column("T1"),
        "t2": column("T2"),
        "readout_duration": column("readout_length"),
    }
    faulty = [q for q, qubit in enumerate(qubits) if qubit.get("operational", 1) == 0]
    return _complete(fields, readout, column("readout_error"), errors, durations, faulty)


def _date(given: Any) -> str:
    """Return a date as text; `RuntimeEncoder` writes it as an object."""
    return str(given["__value__"] if isinstance(given, Mapping) else given)


def _figures(parameters: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return figures by name in SI units, NaN where they are unknown; TypeError for a text."""
    known = (one for one in parameters if one["unit"] in _UNITS)
    return {one["name"]: math.nan if one["value"] is None else one["value"] * _UNITS[one["unit"]] for one in known}


def _complete(
    fields: dict[str, Any], readout: Floats, mean: Floats, errors: GateValues, durations: GateValues, faulty: list[int]
) -> dict[str, Any]:
    """Compute the remaining fields of a `Calibration`.

    Args:
        fields: the fields taken from the file unchanged.
        readout: (n_qubits, 2) P(read 1|0) and P(read 0|1), NaN where not published.
        mean: (n_qubits,) mean of the two readout errors; NaN where not published.
        errors: gate errors.
        durations: gate durations in seconds.
        faulty: qubits that are out of order.
    """
    width = {gate: len(next(iter(places))) for gate, places in errors.items() if places}
    gates_1q, gates_2q = (tuple(sorted(gate for gate, k in width.items() if k == wanted)) for wanted in (1, 2))
    pairs = sorted({pair for gate in gates_2q for pair in errors[gate]})

    def table(source: GateValues, gates: tuple[str, ...], places: list[tuple[int, ...]]) -> Floats:
        rows = [[source.get(gate, {}).get(place, math.nan) for place in places] for gate in gates]
        return np.array(rows, dtype=np.float64).reshape(len(gates), len(places))

    filled, symmetric = published.both_errors(readout, mean)
    singles: list[tuple[int, ...]] = [(q,) for q in range(len(mean))]
    errors_1q, errors_2q = table(errors, gates_1q, singles), table(errors, gates_2q, pairs)
    dead_qubits, dead_couplings = published.dead_masks(errors_1q, filled, errors_2q)
    dead_qubits[faulty] = True
    return {
        **fields, "t2": np.where(fields["t2"] > 2 * fields["t1"], 2 * fields["t1"], fields["t2"]),
        "readout": filled, "readout_symmetric": symmetric,
        "gates_1q": gates_1q, "errors_1q": errors_1q, "durations_1q": table(durations, gates_1q, singles),
        "couplings": np.array(pairs, dtype=np.int64).reshape(-1, 2),
        "gates_2q": gates_2q, "errors_2q": errors_2q, "durations_2q": table(durations, gates_2q, pairs),
        "dead_qubits": dead_qubits, "dead_couplings": dead_couplings,
    }  # fmt: skip


def _column(rows: list[dict[str, str]], prefix: str) -> Floats:
    """The column whose title begins with `prefix`, converted to SI units; NaN if there is none."""
    title = next((title for title in rows[0] if title.startswith(prefix)), None)
    if title is None:
        return np.full(len(rows), np.nan)
    return np.array([_number(row[title], title, q) for q, row in enumerate(rows)]) * _unit(title)


def _unit(title: str) -> float:
    """The unit in parentheses in the title of a column, in SI units; 1 if there is none."""
    match = re.search(r"\((.*?)\)", title)
    unit = match.group(1) if match else ""
    if unit not in _UNITS:
        raise ValueError(f"the unit of {title!r} must be one of {', '.join(filter(None, _UNITS))}; got {unit!r}")
    return _UNITS[unit]


def _number(cell: str, title: str, qubit: int) -> float:
    """Read the number in a cell; NaN if the cell is empty."""
    try:
        return float(cell) if cell.strip() else math.nan
    except ValueError:
        raise ValueError(f"{title!r} of qubit {qubit} must be a number; got {cell!r:.40}") from None


def _pairs(cell: str, title: str, qubit: int) -> Iterable[tuple[tuple[int, ...], float]]:
    """Read the pairs of qubits and their values in a cell such as ``0_1:0.0067; 0_4:0.01``.

    Newer files give the second qubit only: ``1:0.0067;4:0.01``.
    """
    for entry in filter(None, (part.strip() for part in cell.split(";"))):
        place, _, value = entry.rpartition(":")
        ends = place.split("_")
        if not all(end.isdigit() for end in ends) or len(ends) > 2:
            raise ValueError(f"{title!r} of qubit {qubit} must be entries such as '0_1:0.01'; got {entry!r:.40}")
        yield tuple(map(int, ends)) if len(ends) == 2 else (qubit, int(ends[0])), _number(value, title, qubit)
