"""A run: what came back from a machine for one circuit, with all that is needed to make sense of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.core.counts.distribution import Distribution
from qcluster.core.frozen import Frozen, freeze_arrays
from qcluster.core.words import many
from qcluster.device.circuits.profile import Profile
from qcluster.device.circuits.twirl import Twirls
from qcluster.device.machines.calibration import Calibration
from qcluster.device.noise.faults import flipped_share
from qcluster.device.noise.measured import MeasuredReference, conditions_of
from qcluster.device.request import Request, format_flips, parse_flips
from qcluster.device.storage import check_format, reading, write_document

if TYPE_CHECKING:
    from qcluster.core.noise.faults import FaultMasks


FORMAT = "qcluster-run"
VERSION = 1


@dataclass(frozen=True, eq=False, repr=False)
class Run(Frozen):
    """Hold the counts of one circuit, and where they come from. `qcluster.mitigate` takes it as it is."""

    counts: Distribution
    """Counts with flips undone and twirls pooled; column j is classical bit j, first register lowest."""
    twirl_counts: tuple[Distribution, ...]
    """The same by twirl."""
    flips: npt.NDArray[np.bool_]
    """(n_twirls, n_bits) bool: which bits each twirl had flipped."""
    profile: Profile
    """The compiled circuit and its facts."""
    calibration: Calibration
    """What the machine published at the time that `calibration_of` tells."""
    backend: str
    """Name of the machine."""
    method: str
    """"hardware", "aer" (a simulator as it is), "backend" (anybody else's, by its own `run`), or how the noise of the
    machine was simulated."""
    approximate: bool
    """True where the noise was replaced by its Pauli twirl, to simulate a wide Clifford circuit."""
    notes: tuple[str, ...]
    """What was not done as asked, and why; what a reference cost, or the age of one that was measured earlier."""
    job_ids: tuple[str, ...]
    """Jobs at the service that hold this circuit's results; none for simulations."""
    seed: int
    """Everything random followed from it; give it again to get the same."""
    options: dict[str, Any]
    """As given to `execute`."""
    versions: dict[str, str]
    """Versions of the software."""
    noiseless: bool = False
    """True where the counts come from a simulator that is known to have no noise, so that there is nothing to mitigate:
    `qcluster.mitigate` leaves them as they are."""
    reference: MeasuredReference | None = None
    """What a reference circuit measured of this circuit's noise; None where none was asked for."""
    calibration_of: str = "request"
    """"job": the calibration is what the machine had published when the job began to run; "request": when the circuits
    were made ready to run, since no job ran or the service does not tell."""

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def faults(self) -> FaultMasks | None:
        """Which bits the faults of the compiled circuit flip, and how often; None where there is no noise or none is
        published, or the circuit cannot be read, which `faults_missing` then says. `qcluster.mitigate` asks for it.
        Some 20 microseconds a gate, a millisecond where the circuit is not Clifford."""
        return self._known[0]

    @property
    def faults_missing(self) -> str:
        """Why there are no `faults`; empty where there are, or where there is no noise."""
        return self._known[1]

    @cached_property
    def _known(self) -> tuple[FaultMasks | None, str]:
        from qcluster.device.noise.faults import known_faults

        return known_faults(self)

    @property
    def readout(self) -> Floats:
        """(n_bits, 2) P(read 1|0) and P(read 0|1) of each classical bit, by the calibration: flip rates that
        `qcluster.mitigate` takes. 0 for a bit that holds no measurement."""
        return self.calibration.readout_of(self.profile.measured)

    @property
    def shots(self) -> float:
        """Shots that were taken."""
        return self.counts.shots

    def to_json(self) -> str:
        """Write everything, circuit and calibration included, as JSON text."""
        return write_document(self, FORMAT, VERSION, leave={"counts"}, flips=format_flips(self.flips))

    @classmethod
    @reading(FORMAT)
    def from_json(cls, text: str) -> Run:
        """Read what `to_json` wrote; ValueError where the text is no run or from a newer version."""
        content = {"reference": None, "calibration_of": "request", **check_format(text, FORMAT, VERSION)}
        given = {field.name: content[field.name] for field in fields(cls) if field.name != "counts"}
        given["profile"] = Profile.from_json(json.dumps(content["profile"]))
        given["calibration"] = Calibration.from_json(json.dumps(content["calibration"]))
        n_bits = given["profile"].n_bits
        given["twirl_counts"] = tuple(Distribution.of(one, num_bits=n_bits or None) for one in given["twirl_counts"])
        given["flips"] = parse_flips(content["flips"], len(given["twirl_counts"]), n_bits, "the run")
        given |= {name: tuple(content[name]) for name in ("notes", "job_ids")}
        if given["reference"] is not None:
            given["reference"] = MeasuredReference.from_json(json.dumps(given["reference"]))
        return cls(counts=reduce(add, given["twirl_counts"]), **given)

    def _repr_html_(self) -> str:
        """Show where the counts come from, and the likeliest strings, for notebooks."""
        from qcluster.notebook import show_run

        return show_run(self)

    def __repr__(self) -> str:
        return (
            f"Run({self.profile.name!r} on {self.backend}, {many(self.shots, 'shot')}, "
            f"{many(len(self.twirl_counts), 'twirl')}, {self.method})"
        )


def read_runs(
    request: Request,
    counts: Sequence[Sequence[Any]],
    job_ids: Sequence[Sequence[str]] | None = None,
    calibrations: Sequence[Calibration | None] | None = None,
) -> list[Run]:
    """Make runs of a request and what was counted, per circuit and twirl, references behind.

    Job ids are per circuit, as are calibrations: of the time when its job (the first, of several) ran, where known.
    """
    earlier = {reference.skeleton: reference for reference in request.reused}
    known = calibrations if calibrations is not None else [None] * len(request.prepared)
    runs: list[Run] = []
    for i, (prepared, read, of_job) in enumerate(zip(request.prepared, counts, known, strict=True)):
        undone = Twirls((), prepared.flips).undo(read)
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
            )
            for number in prepared.serves:
                first = runs[number].reference  # of several references, the further ones belong to the first
                whole = reference if first is None else replace(first, more=(*first.more, reference))
                runs[number] = replace(runs[number], reference=whole)
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
