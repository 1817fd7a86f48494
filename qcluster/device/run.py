"""A run: what came back from a machine for one circuit, with all that is needed to make sense of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qcluster.core.distribution import Distribution
from qcluster.device.calibration import Calibration
from qcluster.device.profile import Profile
from qcluster.device.reference import MeasuredReference
from qcluster.device.request import Prepared, Request
from qcluster.device.twirl import Twirls

if TYPE_CHECKING:
    from qcluster.core.faults import FaultMasks


@dataclass(frozen=True, eq=False, repr=False)
class Run:
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
    """What the machine published at the time."""
    backend: str
    """Name of the machine."""
    method: str
    """"hardware", "aer" (a simulator as it is), or how the machine's noise was simulated."""
    approximate: bool
    """True where the noise was replaced by its Pauli twirl, to simulate a wide Clifford circuit."""
    notes: tuple[str, ...]
    """What was not done as asked, and why."""
    job_ids: tuple[str, ...]
    """Jobs at the service that hold this circuit's results; none for simulations."""
    seed: int
    """Everything random followed from it; give it again to get the same."""
    options: dict[str, Any]
    """As given to `execute`."""
    versions: dict[str, str]
    """Versions of the software."""
    reference: MeasuredReference | None = None
    """What a reference circuit measured of this circuit's noise; None where none was asked for."""

    @cached_property
    def faults(self) -> FaultMasks | None:
        """Which bits the faults of the compiled circuit flip, and how often; None where no noise is published, or
        the circuit has control flow. `qcluster.mitigate` asks for it. Some 20 microseconds a gate, a millisecond where
        the circuit is not Clifford."""
        from qcluster.device.faults import known_faults

        return known_faults(self)

    @property
    def shots(self) -> float:
        """Shots that were taken."""
        return self.counts.shots

    def __repr__(self) -> str:
        return (
            f"Run({self.profile.name!r} on {self.backend}, {self.shots:g} shots, {len(self.twirl_counts)} twirls, "
            f"{self.method})"
        )


def read_runs(
    request: Request, counts: Sequence[Sequence[Any]], job_ids: Sequence[Sequence[str]] | None = None
) -> list[Run]:
    """Make runs of a request and what was counted.

    Args:
        request: what was run.
        counts: per circuit and twirl, those of references behind; anything that `Distribution.of` takes.
        job_ids: per circuit, where they came from.
    """
    runs: list[Run] = []
    for i, (prepared, read) in enumerate(zip(request.prepared, counts, strict=True)):
        undone = Twirls((), prepared.flips).undo(read)
        if prepared.serves:
            reference = _reference(request, prepared, reduce(add, undone))
            for number in prepared.serves:
                runs[number] = replace(runs[number], reference=reference)
            continue
        runs.append(
            Run(
                counts=reduce(add, undone),
                twirl_counts=undone,
                flips=prepared.flips,
                profile=prepared.profile,
                calibration=request.calibration,
                backend=request.backend,
                method=prepared.method,
                approximate=prepared.method == "stabilizer",
                notes=prepared.notes,
                job_ids=tuple(job_ids[i]) if job_ids is not None else (),
                seed=request.seed,
                options=dict(request.options),
                versions=dict(request.versions),
                reference=request.reused,
            )
        )
    return runs


def _reference(request: Request, prepared: Prepared, counts: Distribution) -> MeasuredReference:
    by_server = request.options.get("twirling") == "server" and request.options.get("measure_twirl", False)
    return MeasuredReference(
        counts=counts,
        expected=prepared.expected,
        profile=prepared.profile,
        calibration=request.calibration,
        backend=request.backend,
        method=prepared.method,
        created=request.created,
        skeleton=prepared.skeleton,
        symmetric=bool(prepared.flips.any() or by_server),
        notes=prepared.notes,
    )
