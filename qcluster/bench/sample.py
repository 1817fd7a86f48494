"""Counts with everything known about them, from a campaign or from recorded hardware: the input of methods."""

import gzip
import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qcluster.bench.faults import circuit_faults
from qcluster.core.arrays import Floats
from qcluster.core.checks import check_real, real_array
from qcluster.core.counts.bits import format_bitstrings
from qcluster.core.counts.distribution import Distribution
from qcluster.errors import QClusterError, StorageError
from qcluster.files import parse_json, unpack
from qcluster.folders import read_managed

if TYPE_CHECKING:
    from qcluster.device.circuits.profile import Profile
    from qcluster.device.machines.calibration import Calibration
    from qcluster.device.noise.measured import MeasuredReference
    from qcluster.device.run import Run

FORMAT = "qcluster-shots"
VERSION = 1
_IDENTITY = re.compile("[0-9a-f]{16}")
"""Pattern of a calibration's identity, see `Calibration.identity`."""
_KNOWN = ("readout", "expected_errors", "rate")
_KINDS = {"identity": str, "case": str, "family": str, "machine": str, "n_bits": int, "counts": dict, "facts": dict}


@dataclass(frozen=True, eq=False)
class Sample:
    """Counts, their ideal output, and what is known about the run."""

    identity: str
    """Identity of the task, or the id of a record."""
    case: str
    """Name of the circuit."""
    family: str
    """Kind of circuit."""
    machine: str
    """Name of the machine that ran it."""
    counts: Distribution
    """What was read, with twirls undone."""
    ideal: Distribution | None = None
    """The ideal output; None where it is unknown."""
    readout: Floats | None = None
    """``(n_bits, 2)``: P(read 1|0), P(read 0|1) of each bit; None without a calibration."""
    expected_errors: float | None = None
    """Mean number of flipped bits in a shot by the formula of Q-BEEP; None where it is unknown."""
    rate: float | None = None
    """Effective flip rate of a bit, from the calibration or a label; None where it is unknown."""
    run: "Run | None" = None
    """The run behind the counts, with compiled circuit, calibration and twirls; None where it is unknown."""
    dt: float | None = None
    """Seconds per unit of delay in the compiled circuit; None if it has no delays."""
    edges: tuple[tuple[int, int, float], ...] = ()
    """Ising cost of a QAOA circuit, to be minimised; see `Case.edges`."""
    seconds: float = 0.0
    """Duration of the run, in seconds."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Further facts, such as the task or the depth."""

    def __str__(self) -> str:
        return f"{self.case} on {self.machine}"

    @cached_property
    def n_bits(self) -> int:
        """Number of classical bits."""
        return self.counts.n_bits

    @property
    def profile(self) -> "Profile | None":
        """Facts of the compiled circuit, with the circuit."""
        return None if self.run is None else self.run.profile

    @property
    def calibration(self) -> "Calibration | None":
        """The calibration of the machine at the time of the run."""
        return None if self.run is None else self.run.calibration


def fingerprint(sample: Sample) -> str:
    """Return a hash of counts and ideal.

    Figures from a calibration are left out, since new versions may derive them differently.

    Example:
        >>> one = Sample("bell/1", "bell", "bell", "ibm_torino", Distribution.of({"00": 5, "11": 6}))
        >>> len(fingerprint(one)), fingerprint(one) == fingerprint(one)
        (32, True)
    """
    return hash_outputs(f"{sample.n_bits} {sample.edges}", sample.counts, sample.ideal)


def hash_outputs(about: str, *outputs: Distribution | None) -> str:
    """Return a hash of distributions, 32 hexadecimal digits."""
    digest = hashlib.sha256(about.encode())
    for output in outputs:
        if output is not None:
            digest.update(output.words.tobytes() + output.weights.tobytes())
    return digest.hexdigest()[:32]


def pack_sample(sample: Sample) -> bytes:
    """Pack the measured part as compressed JSON: counts, profile, figures. The ideal is stored with the case."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "identity": sample.identity,
        "case": sample.case,
        "family": sample.family,
        "machine": sample.machine,
        "n_bits": sample.n_bits,
        "counts": _table(sample.counts),
        "known": None if sample.run is not None else _pack_known(sample),
        "run": None if sample.run is None else _pack_run(sample.run),
        "dt": sample.dt,
        "edges": sample.edges,
        "seconds": sample.seconds,
        "facts": sample.facts,
    }
    return gzip.compress(json.dumps(content).encode(), compresslevel=6, mtime=0)


def unpack_sample(packed: bytes, folder: Path, ideal: Distribution | None) -> Sample:
    """Read what `pack_sample` wrote.

    Args:
        packed: the bytes.
        folder: folder of the calibrations, named by identity. Where one is missing or damaged, that of a recorded
            machine is read from the machine, and that of a real one from its job, in the folder ``jobs`` beside it.
        ideal: the ideal output of the case.

    Raises:
        StorageError: the bytes are not a sample, or are from a newer version; or its calibration is missing or damaged,
            and no other source has it.
    """
    try:
        content = parse_json(unpack(packed))
        if content["format"] != FORMAT or content["version"] > VERSION:
            raise ValueError(f"format {content['format']} version {content['version']} is not known here")
        for name, kind in _KINDS.items():
            if not isinstance(content[name], kind) or isinstance(content[name], bool):
                raise ValueError(f"its {name} must be {kind.__name__}; got {content[name]!r:.40}")
        n_bits = content["n_bits"]
        counts = _distribution(content["counts"], n_bits)
        if "run" not in content:  # written by 0.1.0, which stored figures derived from a run but not the whole run
            content |= {"run": None, "dt": None, "known": {name: content[name] for name in _KNOWN}}
        run = None
        if content["run"] is not None:
            run = _unpack_run(content["run"], counts, _read_calibration(content, folder))
        known = run_figures(run) if run is not None else _unpack_known(content["known"], n_bits)
        return Sample(
            identity=content["identity"],
            case=content["case"],
            family=content["family"],
            machine=content["machine"],
            counts=counts,
            ideal=ideal,
            run=run,
            dt=None if content["dt"] is None else float(content["dt"]),
            edges=tuple((int(i), int(j), float(w)) for i, j, w in content["edges"]),
            seconds=float(content["seconds"]),
            facts=content["facts"],
            **known,
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise StorageError(f"this is no saved sample: {error}") from error


def _table(counts: Distribution) -> dict[str, float]:
    weights = [int(w) if w == int(w) else w for w in counts.weights.tolist()]
    return dict(zip(format_bitstrings(counts.bits), weights, strict=True))


def _distribution(table: dict[str, float], n_bits: int) -> Distribution:
    if not table:
        return Distribution(np.zeros((0, n_bits), dtype=bool), np.zeros(0))
    return Distribution.of(table, num_bits=n_bits)


def run_figures(run: "Run") -> dict[str, Any]:
    """Derive the figures that methods need from a run: `readout`, `expected_errors` and `rate` of its sample."""
    faults = circuit_faults(run.profile, run.calibration)
    return {"readout": faults.readout, "expected_errors": faults.bit_errors, "rate": faults.rate}


def _pack_known(sample: Sample) -> dict[str, Any]:
    readout = None if sample.readout is None else sample.readout.tolist()
    return dict(zip(_KNOWN, (readout, sample.expected_errors, sample.rate), strict=True))


def _unpack_known(content: dict[str, Any], n_bits: int) -> dict[str, Any]:
    readout, figures = content["readout"], {name: content[name] for name in _KNOWN[1:]}
    known = {name: None if value is None else check_real(name, value, 0) for name, value in figures.items()}
    return known | {"readout": None if readout is None else real_array("readout", readout).reshape(n_bits, 2)}


def _pack_run(run: "Run") -> dict[str, Any]:
    """Pack everything of a run but its counts; only the identity of the calibration, which many runs share."""
    from qcluster.device.request import format_flips

    plain = (
        "backend", "method", "approximate", "notes", "job_ids", "seed", "options", "versions", "noiseless",
        "calibration_of",
    )  # fmt: skip
    return {name: getattr(run, name) for name in plain} | {
        "twirl_counts": [_table(part) for part in run.twirl_counts],
        "flips": format_flips(run.flips),
        "profile": run.profile.to_json(),
        "calibration": run.calibration.identity,
        "reference": None if run.reference is None else _pack_reference(run.reference.to_json(), run.calibration),
    }


def _pack_reference(text: str, calibration: "Calibration") -> dict[str, Any]:
    """Leave out calibrations equal to that of the run; only a reference from an earlier run has another."""
    content = json.loads(text)
    of_run = json.loads(calibration.to_json())
    for part in (content, *content["more"]):
        part["calibration"] = None if part["calibration"] == of_run else part["calibration"]
    return dict(content)


def _unpack_reference(content: dict[str, Any], calibration: "Calibration") -> "MeasuredReference":
    from qcluster.device.noise.measured import MeasuredReference

    of_run = json.loads(calibration.to_json())
    for part in (content, *content["more"]):
        part["calibration"] = part["calibration"] or of_run
    return MeasuredReference.from_json(json.dumps(content))


def calibration_path(folder: Path, identity: str) -> Path:
    """Return the path of a calibration in a folder of calibrations."""
    return folder / f"{identity}.json"


def is_intact(text: bytes, identity: str) -> bool:
    """True if the stored text of a calibration has not changed: its identity is a hash of it."""
    return hashlib.sha256(text).hexdigest()[:16] == identity


def _read_calibration(content: dict[str, Any], folder: Path) -> "Calibration":
    """Read the calibration of a sample from the folder of calibrations, or from another source that still has it.

    Other files are refused, whatever a sample or a link names.

    Args:
        content: the content of the sample.
        folder: the folder.

    Raises:
        StorageError: the file is missing or damaged, and no other source has the calibration.
        ValueError: the name of the calibration is not a hash.
    """
    from qcluster.device.machines.calibration import Calibration

    identity = content["run"]["calibration"]
    if not _IDENTITY.fullmatch(identity):
        raise ValueError(f"its calibration must be named by 16 hexadecimal digits; got {identity!r:.60}")
    path = calibration_path(folder, identity)
    try:
        text = read_managed(path)
        if is_intact(text, identity):
            return Calibration.from_json(text.decode("utf-8"))
        why = "is damaged: its content does not have the hash in its name"
    except FileNotFoundError:
        why = "is missing"
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        why = f"is damaged: {error}"
    elsewhere = _fetch_again(content, folder)
    if elsewhere is not None and elsewhere.identity == identity:
        return elsewhere
    raise StorageError(
        f"{path} {why}. {content['machine']} cannot provide it again: restore the original file, or run its tasks in "
        "another folder"
    )


def _fetch_again(content: dict[str, Any], folder: Path) -> "Calibration | None":
    """Return the calibration of a recorded machine, or of the job that a sample comes from; None if there is neither.

    It may differ from the one that the sample names, if the recording was updated.
    """
    from qcluster.device import jobs
    from qcluster.device.machines.machine import find_machine

    task, machine = content["identity"], str(content["run"]["backend"])
    with suppress(QClusterError, ValueError, OSError):
        if machine.startswith("fake_"):
            return find_machine(machine).calibration
        if _IDENTITY.fullmatch(task):
            return jobs.read(folder.parent / "jobs" / task)[0].calibration
    return None


def _unpack_run(content: dict[str, Any], counts: Distribution, calibration: "Calibration") -> "Run":
    from qcluster.device.circuits.profile import Profile
    from qcluster.device.request import parse_flips
    from qcluster.device.run import Run, check_run

    check_run(content)
    reference = content.get("reference")  # older samples have none
    rebuilt = {
        "counts": counts,
        "twirl_counts": tuple(_distribution(part, counts.n_bits) for part in content["twirl_counts"]),
        "flips": parse_flips(content["flips"], len(content["twirl_counts"]), counts.n_bits, "the run"),
        "profile": Profile.from_json(content["profile"]),
        "calibration": calibration,
        "reference": None if reference is None else _unpack_reference(reference, calibration),
        "notes": tuple(content["notes"]),
        "job_ids": tuple(content["job_ids"]),
    }
    return Run(**(content | rebuilt))
