"""Recorded hardware counts in files of JSON lines, for scoring methods on results of real machines.

Each line is one JSON object (``.jsonl``, or ``.jsonl.gz``)::

    id               text, required: name of the record
    counts           {"0101": 12, ...}, required; the first character is the highest classical bit
    n_bits           number of bits, where keys are hexadecimal and do not show it; also num_bits
    ideal            {"0101": probability, ...}; or
    ideal_id         names a line {"ideal_id": ..., "ideal": {...}} of the ideals file
    circuit          text, equal for repeats of a circuit, which a report does not count as independent; by default
                     the ideal_id, else the id. A program, such as OpenQASM, is replaced by a short name such as
                     ghz:10:1f3a90c2; if it has as many qubits as the machine, it is the physical circuit
    machine          text, such as "ibm_torino"
    family           text, for grouping; by default the last part of the id up to its first digit, or the part before
                     it, and so on: bell for "mine/bell_1" and "bell/1"
    readout          one [P(read 1|0), P(read 0|1)] for each bit, bit 0 (rightmost character) first; for M3
    expected_errors  mean number of flipped bits in a shot; for Q-BEEP
    rate             effective flip rate of a bit (also "effective_rate"); for the published method
    edges            [[i, j, w], ...], an Ising cost to be minimised, for approximation ratios
    two_qubit_gates  number of two-qubit gates, from which errors are estimated where there is no physical circuit
    transpiled_openqasm3   the physical circuit; with a snapshot of the machine it gives the readout, expected errors
                     and rate above, and the faults of the circuit
    measure_twirl    whether measurements were twirled; by default true with transpiled_openqasm3, otherwise false

Other keys are ignored; null counts as a missing key. Methods that need a missing key skip the record.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain, islice
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qcluster.bench.faults import effective_rate, median_error
from qcluster.bench.sample import Sample, run_figures
from qcluster.bench.table import check_text
from qcluster.core.checks import check_flag, check_real, check_whole
from qcluster.core.counts.distribution import Distribution
from qcluster.errors import StorageError
from qcluster.files import read_ideals, read_lines, read_pair

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.machines.calibration import Calibration
    from qcluster.device.run import Run


def read_records(
    path: str | Path,
    ideals: str | Path | None = None,
    *,
    snapshots: bool = False,
    calibrations: "Mapping[str, Calibration] | None" = None,
    limit: int | None = None,
) -> Iterator[Sample]:
    """Yield the records of a file; the format is described in this module's docstring.

    Args:
        path: ``.jsonl`` or ``.jsonl.gz``.
        ideals: file of ideals for records with ``ideal_id``; by default ``NAME_ideals`` beside it, if it exists.
        snapshots: fill in missing figures (readout, expected errors, rate) from the snapshot of the machine that the
            IBM runtime package contains ("ibm_torino": "fake_torino"). The snapshot is from another day. It is
            evaluated for the right qubits only where the record has its physical circuit; otherwise medians over the
            machine are used.
        calibrations: calibrations by name of the machine, used instead of snapshots.
        limit: stop after this number of records.

    Raises:
        StorageError: a file cannot be read or holds no record, or a line is not a record; the message names the line.
        ValueError: the limit is below 1; or, at the end, an ideals file was given that no record uses.
    """
    path, from_file = Path(path), list[bool]()
    most = None if limit is None else check_whole("limit", limit, 1)
    known = read_ideals(path, None if ideals is None else Path(ideals))

    def sample_of_line(_: int, line: Any) -> Sample:
        sample = _sample(line, known, snapshots, calibrations or {})
        from_file.append(line.get("ideal") is None and line.get("ideal_id") is not None)
        return sample

    samples = read_lines(path, sample_of_line)
    first = next(samples, None)
    if first is None:
        raise StorageError(f"{path} must hold records, one on a line; found none")
    yield from islice(chain([first], samples), most)
    if ideals is not None and not any(from_file):
        raise ValueError(f"ideals would have no effect: no record names one of {ideals} by its ideal_id alone")


def _sample(
    record: Any, known: Mapping[str, Any], snapshots: bool, calibrations: "Mapping[str, Calibration]"
) -> Sample:
    if not isinstance(record, dict):
        raise TypeError(f"a record must be an object of 'id', 'counts' and more; got {record!r:.60}")
    if "id" in record and record["id"] in (None, ""):
        raise ValueError(f"id must name the record; got {'null' if record['id'] is None else 'an empty text'}")
    line = {key: value for key, value in record.items() if value is not None}
    counts, ideal = read_pair(line, known)
    machine = str(line.get("machine", "unknown"))
    stated = _stated(line, counts.n_bits)
    derived: dict[str, Any] = {}
    calibration = calibrations.get(machine) or (_snapshot(machine) if snapshots else None)
    if calibration is not None:
        derived = _derive(calibration, line, machine, counts)
        stated = {key: derived.get(key) if value is None else value for key, value in stated.items()}
    identity = str(line["id"])
    check_text("id", identity)
    stems = [re.split(r"\d", part)[0].strip("_") for part in reversed(identity.split("/"))]
    family = str(line.get("family") or next(filter(None, stems), identity))
    return Sample(
        identity=identity,
        case=_case(line.get("circuit") or line.get("ideal_id") or identity, family, counts.n_bits),
        family=family,
        machine=machine,
        counts=counts,
        ideal=ideal,
        edges=_edges(line.get("edges", []), counts.n_bits),
        facts={key: line[key] for key in ("p", "n", "date") if key in line},
        run=derived.get("run"),
        **stated,
    )


def _stated(line: Mapping[str, Any], n_bits: int) -> dict[str, Any]:
    """Read the noise figures that a record states; None for those that it lacks."""
    readout, largest = line.get("readout"), {"expected_errors": inf, "rate": 1.0}
    values = {"expected_errors": line.get("expected_errors"), "rate": line.get("rate", line.get("effective_rate"))}
    checked = {
        name: None if value is None else check_real(name, value, 0, largest[name]) for name, value in values.items()
    }
    if readout is None:
        return {"readout": None, **checked}
    try:
        pairs = np.array(readout, dtype=float)
    except (TypeError, ValueError):  # lists of unequal lengths, or text
        raise ValueError(f"readout must hold {n_bits} pairs of numbers; got {readout!r:.60}") from None
    if pairs.shape != (n_bits, 2):
        raise ValueError(f"readout must hold {n_bits} pairs; got shape {pairs.shape}")
    wrong = ~((pairs >= 0) & (pairs <= 1)).all(axis=1)
    if wrong.any():
        bit = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"readout must hold probabilities, from 0 to 1; got {readout[bit]!r:.60} for bit {bit}")
    return {"readout": pairs, **checked}


def _edges(edges: Any, n_bits: int) -> tuple[tuple[int, int, float], ...]:
    if not isinstance(edges, list):
        raise ValueError(f"edges must be a list of [i, j, weight]; got {edges!r:.60}")
    return tuple(_edge(edge, n_bits) for edge in edges)


def _edge(edge: Any, n_bits: int) -> tuple[int, int, float]:
    if not isinstance(edge, list) or len(edge) != 3 or edge[0] == edge[1]:
        raise ValueError(f"an edge must be [i, j, weight] of two bits; got {edge!r:.60}")
    *ends, weight = edge
    i, j = (check_whole("the bit of an edge", end, 0, n_bits - 1) for end in ends)
    return i, j, check_real("the weight of an edge", weight, -inf)


def _case(circuit: Any, family: str, n_bits: int) -> str:
    """Return the name that repeats of a circuit share: a single line of text unchanged, a program by a hash."""
    text = str(circuit)
    return f"{family}:{n_bits}:{zlib.crc32(text.encode()):08x}" if "\n" in text else text


def _derive(calibration: "Calibration", line: Mapping[str, Any], machine: str, counts: Distribution) -> dict[str, Any]:
    """Derive noise figures, and the run if there is a physical circuit, from a calibration."""
    n_bits = counts.n_bits
    circuit = _physical_circuit(line, calibration)
    if circuit is not None:
        run = _as_run(circuit, line, machine, counts, calibration)
        return {"run": run, **run_figures(run)}
    readout = np.nanmedian(calibration.readout, axis=0)
    derived: dict[str, Any] = {"readout": np.tile(readout, (n_bits, 1))}
    gates = _two_qubit_gates(line, n_bits)
    if gates is not None:
        expected = gates * median_error(calibration.errors_2q) + n_bits * float(readout.mean())
        derived |= {"expected_errors": expected, "rate": effective_rate(expected, n_bits)}
    return derived


def _as_run(
    circuit: "QuantumCircuit", line: Mapping[str, Any], machine: str, counts: Distribution, calibration: "Calibration"
) -> "Run":
    """Return a record as a run. Which bits its twirls flipped is unknown, as with twirling by the runtime."""
    from qcluster.device.circuits.profile import read_profile
    from qcluster.device.run import Run

    twirled = check_flag("measure_twirl", line.get("measure_twirl", "transpiled_openqasm3" in line))
    options = {"twirling": "server", "measure_twirl": True, "runtime": {"twirling": {"enable_measure": True}}}
    return Run(
        counts=counts,
        twirl_counts=(counts,),
        flips=np.zeros((1, counts.n_bits), dtype=bool),
        profile=read_profile(circuit, calibration),
        calibration=calibration,
        backend=machine,
        method="hardware",
        approximate=False,
        notes=("a recorded run, with a calibration of another day",),
        job_ids=(),
        seed=0,
        options=options if twirled else {},
        versions={},
    )


def _physical_circuit(line: Mapping[str, Any], calibration: "Calibration") -> "QuantumCircuit | None":
    """Read the circuit on physical qubits, if the record has one.

    Gates with a standard name that the text defines itself are replaced by the standard gates.
    """
    from qiskit.circuit.library import get_standard_gate_name_mapping

    from qcluster.device.circuits.files import parse_qasm

    text = str(line.get("transpiled_openqasm3") or line.get("circuit", ""))
    if not text.lstrip().startswith("OPENQASM"):
        return None
    circuit, standard = parse_qasm(text), get_standard_gate_name_mapping()
    if "transpiled_openqasm3" not in line and circuit.num_qubits != len(calibration.readout):
        return None  # a program that was compiled later
    for i, item in enumerate(circuit.data):
        if type(item.operation).__name__ == "Gate" and not item.operation.params and item.name in standard:
            circuit.data[i] = item.replace(operation=standard[item.name])
    return circuit


def _two_qubit_gates(line: Mapping[str, Any], n_bits: int) -> int | None:
    """Return the number of two-qubit gates: as stated, or two for each edge and layer of a QAOA record."""
    if "two_qubit_gates" in line:
        return check_whole("two_qubit_gates", line["two_qubit_gates"], 0)
    edges = {"1D": n_bits - 1, "FC": n_bits * (n_bits - 1) // 2}.get(str(line.get("family")))
    return None if edges is None or "p" not in line else 2 * edges * check_whole("p", line["p"], 0)


@lru_cache(maxsize=8)
def _snapshot(machine: str) -> Any:
    if not machine.startswith("ibm_"):
        return None
    from qcluster.device.machines.machine import find_machine

    try:
        return find_machine(machine.replace("ibm_", "fake_")).calibration
    except ValueError:
        return None
