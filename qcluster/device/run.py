"""A run: the counts of one circuit, with everything needed to interpret them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.core.counts.distribution import Distribution
from qcluster.core.frozen import Frozen, freeze_arrays
from qcluster.core.words import plural
from qcluster.device.circuits.profile import Profile
from qcluster.device.circuits.twirl import Twirls
from qcluster.device.machines.calibration import Calibration
from qcluster.device.noise.faults import flipped_share
from qcluster.device.noise.measured import MeasuredReference, conditions_of
from qcluster.device.request import Request, format_flips, parse_flips
from qcluster.device.storage import check_format, check_plain, document_errors, write_document

if TYPE_CHECKING:
    from qcluster.core.noise.faults import FaultMasks


FORMAT = "qcluster-run"
VERSION = 1


@dataclass(frozen=True, eq=False, repr=False)
class Run(Frozen):
    """The counts of one circuit and where they come from; can be passed to `qcluster.mitigate`."""

    counts: Distribution
    """Counts with flips undone and twirls pooled; column j is classical bit j, first register lowest."""
    twirl_counts: tuple[Distribution, ...]
    """The same counts, twirl by twirl."""
    flips: npt.NDArray[np.bool_]
    """(n_twirls, n_bits) bool. True where a twirl flipped a bit before it was read."""
    profile: Profile
    """The compiled circuit and facts about it."""
    calibration: Calibration
    """What the machine published about itself; `calibration_of` says at what time."""
    backend: str
    """Name of the machine."""
    method: str
    """"hardware", "aer" (an AerSimulator with its own noise model), "backend" (another provider's backend, by its own
    `run`), or the method by which the noise of the machine was simulated."""
    approximate: bool
    """True if the noise was replaced by its Pauli twirl, to simulate a wide Clifford circuit."""
    notes: tuple[str, ...]
    """What was not done as asked, and why; the cost of references, or the age of one measured earlier."""
    job_ids: tuple[str, ...]
    """Ids of the service's jobs that hold this circuit's results; empty for simulations."""
    seed: int
    """Seed of everything random in this run; the same seed repeats it."""
    options: dict[str, Any]
    """The options given to `execute`."""
    versions: dict[str, str]
    """Versions of qcluster, Qiskit, Aer, the runtime and NumPy."""
    noiseless: bool = False
    """True if the counts come from a simulator known to have no noise. There is then nothing to mitigate, and
    `qcluster.mitigate` leaves the counts unchanged."""
    reference: MeasuredReference | None = None
    """Measurement of the reference circuit for this circuit's noise; None if none was asked for."""
    calibration_of: str = "request"
    """The time of the calibration. "job": when the job began to run. "request": when the circuits were prepared,
    because no job ran or the service does not provide the later one."""

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def faults(self) -> FaultMasks | None:
        """The bits that each fault of the compiled circuit flips, and the probability of the fault.

        None if there is no noise, if the machine publishes no errors, or if the circuit cannot be analysed;
        `faults_missing` gives the reason. `qcluster.mitigate` reads this property. Cost: some 20 microseconds per gate,
        or a millisecond if the circuit is not Clifford.
        """
        return self._faults_or_reason[0]

    @property
    def faults_missing(self) -> str:
        """Why `faults` is None; empty if it is not, or if there is no noise."""
        return self._faults_or_reason[1]

    @cached_property
    def _faults_or_reason(self) -> tuple[FaultMasks | None, str]:
        from qcluster.device.noise.faults import known_faults

        return known_faults(self)

    @property
    def readout(self) -> Floats:
        """(n_bits, 2) P(read 1|0) and P(read 0|1) of each classical bit, by the calibration.

        They are 0 for a bit that holds no measurement, and can be given to `qcluster.mitigate` as flip rates. If twirls
        flip a bit in half of the shots, its rate in the counts is the mean of the two.
        """
        return self.calibration.readout_of(self.profile.measured)

    @property
    def shots(self) -> float:
        """Number of shots taken."""
        return self.counts.shots

    def to_json(self) -> str:
        """Return everything as JSON text, circuit and calibration included."""
        return write_document(self, FORMAT, VERSION, leave={"counts"}, flips=format_flips(self.flips))

    @classmethod
    @document_errors(FORMAT)
    def from_json(cls, text: str) -> Run:
        """Read the JSON text of `to_json`; ValueError if it is not a run, or was written by a newer version."""
        content = {"reference": None, "calibration_of": "request", **check_format(text, FORMAT, VERSION)}
        check_run(content)
        values = {field.name: content[field.name] for field in fields(cls) if field.name != "counts"}
        values["profile"] = Profile.from_json(json.dumps(content["profile"]))
        values["calibration"] = Calibration.from_json(json.dumps(content["calibration"]))
        n_bits = values["profile"].n_bits
        values["twirl_counts"] = tuple(
            Distribution.of(counts, num_bits=n_bits or None) for counts in values["twirl_counts"]
        )
        values["flips"] = parse_flips(content["flips"], len(values["twirl_counts"]), n_bits, "the run")
        values |= {name: tuple(content[name]) for name in ("notes", "job_ids")}
        if values["reference"] is not None:
            values["reference"] = MeasuredReference.from_json(json.dumps(values["reference"]))
        return cls(counts=reduce(add, values["twirl_counts"]), **values)

    def _repr_html_(self) -> str:
        """HTML for notebooks: where the counts come from, and the most frequent bitstrings."""
        from qcluster.notebook import show_run

        return show_run(self)

    def __repr__(self) -> str:
        return (
            f"Run({self.profile.name!r} on {self.backend}, {plural(self.shots, 'shot')}, "
            f"{plural(len(self.twirl_counts), 'twirl')}, {self.method})"
        )


def check_run(content: Mapping[str, Any]) -> None:
    """Check the plain values of a stored run; ValueError if one is wrong, KeyError if it is missing."""
    check_plain(Run, content)
    runtime = content["options"].get("runtime", {})
    if not isinstance(runtime, dict) or not isinstance(runtime.get("twirling", {}), dict):
        raise ValueError(f"runtime of the options must be an object of objects; got {runtime!r:.60}")


def read_runs(
    request: Request,
    counts: Sequence[Sequence[Any]],
    job_ids: Sequence[Sequence[str]] | None = None,
    calibrations: Sequence[Calibration | None] | None = None,
    measured_at: Sequence[str] | None = None,
) -> list[Run]:
    """Make one `Run` per circuit of a request from its counts.

    Args:
        request: the request; its references follow its circuits.
        counts: counts as read, flips not undone, of each circuit and reference, by twirl.
        job_ids: ids of the jobs of each circuit and reference; none for a simulation.
        calibrations: calibration of each circuit and reference at the time of its first job; None where unknown.
        measured_at: time at which each circuit and reference first ran, ISO 8601; empty where unknown.
    """
    earlier = {reference.skeleton: reference for reference in request.reused}
    job_calibrations = calibrations if calibrations is not None else [None] * len(request.prepared)
    runs: list[Run] = []
    for i, (prepared, as_read, of_job) in enumerate(zip(request.prepared, counts, job_calibrations, strict=True)):
        undone = Twirls((), prepared.flips).undo(as_read)
        facts: dict[str, Any] = {
            "counts": reduce(add, undone),
            "profile": prepared.profile,
            "calibration": request.calibration if of_job is None else of_job,
            "backend": request.backend,
            "method": prepared.method,
            "notes": prepared.notes,
        }
        if prepared.serves:
            reference = MeasuredReference(
                **facts,
                expected=prepared.expected,
                created=request.created,
                skeleton=prepared.skeleton,
                flipped=flipped_share(prepared.flips, request.options),
                conditions=conditions_of(request.options),
                twirl_counts=undone,
                measured_at="" if measured_at is None else measured_at[i],
            )
            for number in prepared.serves:
                first = runs[number].reference  # if there are several references, the first holds the others
                pooled = reference if first is None else replace(first, more=(*first.more, reference))
                runs[number] = replace(runs[number], reference=pooled)
            continue
        runs.append(
            Run(
                **facts,
                twirl_counts=undone,
                flips=prepared.flips,
                calibration_of="request" if of_job is None else "job",
                approximate=prepared.method == "stabilizer",
                job_ids=tuple(job_ids[i]) if job_ids is not None else (),
                seed=request.seed,
                options=dict(request.options),
                versions=dict(request.versions),
                noiseless=prepared.noiseless,
                reference=earlier.get(prepared.skeleton),
            )
        )
    return runs
