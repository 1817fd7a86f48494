"""Recorded hardware counts, from files of JSON lines: score methods on what a machine really did.

One JSON object a line (``.jsonl``, or ``.jsonl.gz``)::

    id               text, required: names the record
    counts           {"0101": 12, ...}, required; the first character is the highest classical bit
    n_bits           width of counts and ideal, where their keys are hexadecimal and do not show it; also num_bits
    ideal            {"0101": probability, ...}; or
    ideal_id         names a line {"ideal_id": ..., "ideal": {...}} of the ideals file
    circuit          text, the same for repeats of a circuit, which a report does not take for independent; by default
                     the ideal_id, else the id. A program, such as OpenQASM, gets a name: ghz:10:1f3a90c2; on as many
                     qubits as the machine has it is the physical circuit
    machine          text, such as "ibm_torino"
    family           text, for grouping; by default what the last part of the id says before its first digit,
                     or the part before it, and so on: bell of "mine/bell_1" and "bell/1"
    readout          one [P(read 1|0), P(read 0|1)] for each bit, bit 0 (rightmost character) first; for M3
    expected_errors  mean number of flipped bits in a shot; for Q-BEEP
    rate             effective flip rate of a bit (also "effective_rate"); for the published method
    edges            [[i, j, w], ...], an Ising cost to be minimised, for approximation ratios
    two_qubit_gates  their number, from which a snapshot estimates errors where there is no physical circuit
    transpiled_openqasm3   the physical circuit, from which a snapshot of the machine gives the three above, and the
                     faults of the circuit
    measure_twirl    whether measurements were twirled; by default yes with transpiled_openqasm3, and else no

Other keys are ignored; null is as if the key were not there. What a record lacks, methods that need it skip.
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
    """Yield the records of a file; the format is this module's docstring.

    Args:
        path: ``.jsonl`` or ``.jsonl.gz``.
        ideals: file of ideals for records with ``ideal_id``; by default ``NAME_ideals`` beside it, if there.
        snapshots: fill in what a record does not say about its machine (readout, expected errors, rate) from the
            snapshot of it that the IBM runtime ships ("ibm_torino": "fake_torino"). That is a calibration of another
            day, and of the right qubits only where the record has its physical circuit; else the machine's median.
        calibrations: used in place of snapshots, by the machine's name.
        limit: stop after so many records.

    Raises:
        StorageError: a file cannot be read, or holds no record, or a line is none; the message names the line.
        ValueError: no limit of 1 or more; or in the end, where ideals were given and no record takes its ideal from
            there.
    """
    path, by_file = Path(path), list[bool]()
    most = None if limit is None else check_whole("limit", limit, 1)
    known = read_ideals(path, None if ideals is None else Path(ideals))

    def made(_: int, line: Any) -> Sample:
        sample = _sample(line, known, snapshots, calibrations or {})
        by_file.append(line.get("ideal") is None and line.get("ideal_id") is not None)
        return sample

    found = read_lines(path, made)
    first = next(found, None)
    if first is None:
        raise StorageError(f"{path} must hold records, one on a line; found none")
    yield from islice(chain([first], found), most)
    if ideals is not None and not any(by_file):
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
    given = _given(line, counts.n_bits)
    told: dict[str, Any] = {}
    calibration = calibrations.get(machine) or (_snapshot(machine) if snapshots else None)
    if calibration is not None:
        told = _told_by(calibration, line, machine, counts)
        given = {key: told.get(key) if value is None else value for key, value in given.items()}
    identity = str(line["id"])
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
        run=told.get("run"),
        **given,
    )


def _given(line: Mapping[str, Any], n_bits: int) -> dict[str, Any]:
    """Read what a record says of its noise itself; None where it says nothing."""
    readout, most = line.get("readout"), {"expected_errors": inf, "rate": 1.0}
    found = {"expected_errors": line.get("expected_errors"), "rate": line.get("rate", line.get("effective_rate"))}
    known = {name: None if one is None else check_real(name, one, 0, most[name]) for name, one in found.items()}
    if readout is None:
        return {"readout": None, **known}
    pairs = np.array(readout, dtype=float)
    if pairs.shape != (n_bits, 2):
        raise ValueError(f"readout must hold {n_bits} pairs; got shape {pairs.shape}")
    if not ((pairs >= 0) & (pairs <= 1)).all():
        raise ValueError(f"readout must hold probabilities; got {readout}")
    return {"readout": pairs, **known}


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
    """Name what repeats of a circuit have in common: one line as it is, a program by a hash of its text."""
    text = str(circuit)
    return f"{family}:{n_bits}:{zlib.crc32(text.encode()):08x}" if "\n" in text else text


def _told_by(calibration: "Calibration", line: Mapping[str, Any], machine: str, counts: Distribution) -> dict[str, Any]:
    """Derive what a calibration tells."""
    n_bits = counts.n_bits
    circuit = _physical_circuit(line, calibration)
    if circuit is not None:
        run = _as_run(circuit, line, machine, counts, calibration)
        return {"run": run, **run_figures(run)}
    readout = np.nanmedian(calibration.readout, axis=0)
    told: dict[str, Any] = {"readout": np.tile(readout, (n_bits, 1))}
    gates = _two_qubit_gates(line, n_bits)
    if gates is not None:
        expected = gates * median_error(calibration.errors_2q) + n_bits * float(readout.mean())
        told |= {"expected_errors": expected, "rate": effective_rate(expected, n_bits)}
    return told


def _as_run(
    circuit: "QuantumCircuit", line: Mapping[str, Any], machine: str, counts: Distribution, calibration: "Calibration"
) -> "Run":
    """Write a record as the run that it was; which bits its twirls flipped is unknown, as where the runtime twirls."""
    from qcluster.device.circuits.profile import read_profile
    from qcluster.device.run import Run

    twirled = check_flag("measure_twirl", line.get("measure_twirl", "transpiled_openqasm3" in line))
    served = {"twirling": "server", "measure_twirl": True, "runtime": {"twirling": {"enable_measure": True}}}
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
        options=served if twirled else {},
        versions={},
    )


def _physical_circuit(line: Mapping[str, Any], calibration: "Calibration") -> "QuantumCircuit | None":
    """Read the circuit on physical qubits, if the record has one.

    Gates that the text defines again under a standard name are the standard's.
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
    """Count the two-qubit gates: given, or from the shape of a QAOA record (two for each edge and layer)."""
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
