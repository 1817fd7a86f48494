"""Calibrations in IBM's own files: the CSV that the platform's page offers, and ``BackendProperties`` as JSON.

Both say what the machine measured, and not which of the gates it offers: all that have an error are taken.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.device.machines import published

_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9, "": 1.0}

_SINGLE = {
    "id error": "id",
    "√x (sx) error": "sx",
    "pauli-x error": "x",
    "z-axis rotation (rz) error": "rz",
    "rx error": "rx",
}
_COUPLED = {"cnot error": "cx", "cz error": "cz", "ecr error": "ecr", "rzz error": "rzz"}

Numbers = dict[str, dict[tuple[int, ...], float]]
"""By gate and qubits."""


def is_csv(text: str) -> bool:
    """Tell whether a text begins as IBM's CSV does."""
    return text.lstrip()[:40].lower().replace('"', "").startswith("qubit,")


def is_properties(content: Any) -> bool:
    """Tell whether a document is a ``BackendProperties``."""
    return isinstance(content, Mapping) and {"backend_name", "qubits", "gates"} <= set(content)


def from_csv(text: str, name: str) -> dict[str, Any]:
    """Read the CSV of the platform's page as fields of a `Calibration`; ValueError where a column or line is wrong.

    The name of the file alone tells the machine and the date: "ibm_hanoi_calibrations_2023-07-13T10_00_00Z".
    """
    lines = list(csv.reader(io.StringIO(text.lstrip("\ufeff"))))
    header = [title.strip().lower() for title in lines[0]]
    rows = [dict(zip(header, line, strict=False)) for line in lines[1:] if any(cell.strip() for cell in line)]
    if [row["qubit"].strip() for row in rows] != [str(q) for q in range(len(rows))] or not rows:
        raise ValueError("a calibration in CSV must have a line for each qubit, numbered from 0")
    errors: Numbers = {}
    lengths: Numbers = {}
    for title, gate in _SINGLE.items():
        if title in header:
            errors[gate] = {(q,): _number(row[title], title, q) for q, row in enumerate(rows)}
    if "sx" in errors and "rz" not in errors:  # older files: rz is no pulse, but turns the frame of those that follow
        errors["rz"] = lengths["rz"] = {(q,): 0.0 for q in range(len(rows))}
    time = next((title for title in header if title.startswith(("gate time", "gate length"))), None)
    for title, gate in _COUPLED.items():
        if title in header:
            errors[gate] = dict(pair for q, row in enumerate(rows) for pair in _pairs(row[title], title, q))
            if time is not None:
                unit = _unit(time)
                times = dict(pair for q, row in enumerate(rows) for pair in _pairs(row[time], time, q))
                lengths[gate] = {pair: times[pair] * unit for pair in errors[gate] if pair in times}
    both = np.array([_column(rows, f"prob meas{read} prep{1 - read}") for read in (1, 0)]).T
    down = [q for q, row in enumerate(rows) if row.get("operational", "").strip().lower() in {"false", "no", "0"}]
    found = re.match(r"(?:ibm[a-z]*_[a-z0-9]+|[a-z]+)", name.lower())
    date = re.search(r"\d{4}-\d\d-\d\d(?:[T_ ]\d\d[_:]\d\d[_:]\d\dZ?)?", name)
    told = {
        "backend": found.group() if found else name,
        "snapshot": "",
        "date": re.sub(r"(?<=T\d\d)_(\d\d)_", r":\1:", date.group()) if date else "",
        "t1": _column(rows, "t1"),
        "t2": _column(rows, "t2"),
        "readout_duration": _column(rows, "readout length"),
    }
    return _fields(told, both, _column(rows, "readout assignment error"), errors, lengths, down)


def from_properties(content: Mapping[str, Any]) -> dict[str, Any]:
    """Read ``BackendProperties.to_dict()``; see `from_csv`. KeyError or TypeError where it is none."""
    qubits = [
        {one["name"]: one["value"] * _UNITS[one["unit"]] for one in qubit if one["unit"] in _UNITS}
        for qubit in content["qubits"]
    ]
    errors: Numbers = {}
    lengths: Numbers = {}
    for gate in content["gates"]:
        place = tuple(int(q) for q in gate["qubits"])
        told = {one["name"]: one["value"] * _UNITS[one["unit"]] for one in gate["parameters"] if one["unit"] in _UNITS}
        if len(place) > 2 or "gate_error" not in told or gate["gate"].startswith(("measure", "reset")):
            continue
        errors.setdefault(gate["gate"], {})[place] = float(told["gate_error"])
        lengths.setdefault(gate["gate"], {})[place] = float(told.get("gate_length", math.nan))

    def column(name: str) -> Floats:
        return np.array([qubit.get(name, math.nan) for qubit in qubits], dtype=np.float64)

    both = np.stack([column("prob_meas1_prep0"), column("prob_meas0_prep1")], axis=1)
    told = {
        "backend": str(content["backend_name"]),
        "snapshot": str(content.get("backend_version", "")),
        "date": str(content.get("last_update_date", "")),
        "t1": column("T1"),
        "t2": column("T2"),
        "readout_duration": column("readout_length"),
    }
    down = [q for q, qubit in enumerate(qubits) if qubit.get("operational", 1) == 0]
    return _fields(told, both, column("readout_error"), errors, lengths, down)


def _fields(
    told: dict[str, Any], both: Floats, mean: Floats, errors: Numbers, lengths: Numbers, down: list[int]
) -> dict[str, Any]:
    """Fields of a `Calibration`.

    Args:
        told: those that are as the file has them.
        both: (n_qubits, 2) readout errors of |0> and |1>, NaN where not given.
        mean: (n_qubits,) of both.
        errors, lengths: of gates.
        down: qubits that are out of order.
    """
    width = {gate: len(next(iter(places))) for gate, places in errors.items() if places}
    ones, twos = (tuple(sorted(gate for gate, k in width.items() if k == wanted)) for wanted in (1, 2))
    pairs = sorted({pair for gate in twos for pair in errors[gate]})

    def table(source: Numbers, gates: tuple[str, ...], places: list[tuple[int, ...]]) -> Floats:
        rows = [[source.get(gate, {}).get(place, math.nan) for place in places] for gate in gates]
        return np.array(rows, dtype=np.float64).reshape(len(gates), len(places))

    symmetric: npt.NDArray[np.bool_] = np.asarray(np.isnan(both).any(axis=1))
    readout = np.where(symmetric[:, None], mean[:, None], both)
    single: list[tuple[int, ...]] = [(q,) for q in range(len(mean))]
    errors_1q, errors_2q = table(errors, ones, single), table(errors, twos, pairs)
    dead_qubits, dead_couplings = published.dead_masks(errors_1q, readout, errors_2q)
    dead_qubits[down] = True
    return {
        **told, "t2": np.where(told["t2"] > 2 * told["t1"], 2 * told["t1"], told["t2"]),
        "readout": readout, "readout_symmetric": symmetric,
        "gates_1q": ones, "errors_1q": errors_1q, "durations_1q": table(lengths, ones, single),
        "couplings": np.array(pairs, dtype=np.int64).reshape(-1, 2),
        "gates_2q": twos, "errors_2q": errors_2q, "durations_2q": table(lengths, twos, pairs),
        "dead_qubits": dead_qubits, "dead_couplings": dead_couplings,
    }  # fmt: skip


def _column(rows: list[dict[str, str]], begins: str) -> Floats:
    """A column by how its title begins, in its unit; NaN where there is none."""
    title = next((title for title in rows[0] if title.startswith(begins)), None)
    if title is None:
        return np.full(len(rows), np.nan)
    return np.array([_number(row[title], title, q) for q, row in enumerate(rows)]) * _unit(title)


def _unit(title: str) -> float:
    found = re.search(r"\((.*?)\)", title)
    unit = found.group(1) if found else ""
    if unit not in _UNITS:
        raise ValueError(f"the unit of {title!r} must be one of {', '.join(filter(None, _UNITS))}; got {unit!r}")
    return _UNITS[unit]


def _number(cell: str, title: str, qubit: int) -> float:
    """A number; NaN of an empty cell."""
    try:
        return float(cell) if cell.strip() else math.nan
    except ValueError:
        raise ValueError(f"{title!r} of qubit {qubit} must be a number; got {cell!r:.40}") from None


def _pairs(cell: str, title: str, qubit: int) -> Iterable[tuple[tuple[int, ...], float]]:
    """Entries such as ``0_1:0.0067; 0_4:0.01``, or in newer files ``1:0.0067;4:0.01``."""
    for entry in filter(None, (part.strip() for part in cell.split(";"))):
        place, _, value = entry.rpartition(":")
        ends = place.split("_")
        if not all(end.isdigit() for end in ends) or len(ends) > 2:
            raise ValueError(f"{title!r} of qubit {qubit} must be entries such as '0_1:0.01'; got {entry!r:.40}")
        yield tuple(map(int, ends)) if len(ends) == 2 else (qubit, int(ends[0])), _number(value, title, qubit)
