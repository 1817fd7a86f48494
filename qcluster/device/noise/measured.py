"""What a reference circuit measured, and what it tells of the noise of the circuits that it serves."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import add
from typing import Any

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.distribution import Distribution
from qcluster.core.frozen import Frozen, freeze_arrays
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.measured import MeasuredNoise, as_expecting
from qcluster.core.words import many
from qcluster.device.circuits.profile import Profile
from qcluster.device.machines.calibration import Calibration
from qcluster.device.noise.audit import ReferenceReport, audit
from qcluster.device.noise.faults import RunLike
from qcluster.device.noise.learned import Learned, learn, learned_faults
from qcluster.device.storage import check_format, check_time, reading, write_document

FORMAT = "qcluster-reference"
VERSION = 1

OLD = 24.0
"""Hours after which a reference is doubted: machines are calibrated daily, and drift."""


@dataclass(frozen=True, eq=False, repr=False)
class MeasuredReference(Frozen):
    """Hold what a reference circuit measured; `Run.reference` is one, and `execute` takes one for later circuits."""

    counts: Distribution
    """Counts with flips undone and twirls pooled."""
    expected: str
    """Noiseless output of the reference circuit."""
    profile: Profile
    """The reference circuit and its facts."""
    calibration: Calibration
    """What the machine published at the time."""
    backend: str
    """Name of the machine."""
    method: str
    """As in `Run`."""
    created: str
    """When it was asked for, ISO 8601."""
    skeleton: str
    """Name of what it shares with the circuits that it serves; see `skeleton`."""
    flipped: Floats
    """(n_bits,) share of the twirls in which each bit was flipped before it was read: half, and both of its readout
    errors count alike, unless the number of twirls is odd; 0 without flips."""
    notes: tuple[str, ...] = ()
    """What was not done as asked, and how the reference differs from the circuit."""
    more: tuple[MeasuredReference, ...] = ()
    """Further references of the same circuit, with other angles, that ran beside it: what one cannot see, another may.
    Places are learned from all of them together."""
    conditions: dict[str, Any] = field(default_factory=dict)
    """What decides about the noise beside gates and places, see `conditions_of`; empty where it was not kept."""

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def symmetric(self) -> bool:
        """Whether twirls made both readout errors of each measured bit count alike."""
        return bool((self.flipped[self.profile.measured >= 0] == 0.5).all())

    @property
    def parts(self) -> tuple[MeasuredReference, ...]:
        """Itself and `more`."""
        return (self, *self.more)

    @cached_property
    def noise(self) -> MeasuredNoise:
        """What it measured, as `qcluster.mitigate` takes it for counts of any circuit of this skeleton: patterns of
        flips, those of all `parts` together."""
        here = [as_expecting(part.counts, part.expected, self.expected) for part in self.parts]
        return MeasuredNoise(reduce(add, here), self.expected)

    @cached_property
    def learned(self) -> Learned:
        """How far off the calibration is, place by place; see `qcluster.device.noise.learned.learn`."""
        read = [(part.profile, part.expected, part.counts, part.flipped) for part in self.parts]
        return learn(read, self.calibration, idle=self.method == "hardware")

    def faults_of(self, run: RunLike, *, dt: float | None = None, draws: int = 64) -> FaultMasks:
        """Find the fault masks of a run of this skeleton at the rates that this measured.

        `qcluster.device.noise.faults.run_faults` asks for them; see `qcluster.device.noise.learned.learned_faults`.
        Factors belong to a calibration: they are learned anew where the run has another one than this.
        """
        return learned_faults(run, self._learned_under(run.calibration), dt=dt, draws=draws)

    def _learned_under(self, calibration: Calibration) -> Learned:
        """Give `learned` with another calibration to begin with, such as that of a later run."""
        if calibration.identity == self.calibration.identity:
            return self.learned
        if calibration.identity not in self._later:
            self._later[calibration.identity] = dataclasses.replace(self, calibration=calibration).learned
        return self._later[calibration.identity]

    @cached_property
    def _later(self) -> dict[str, Learned]:
        """What was learned under other calibrations, by their identity."""
        return {}

    def report(self) -> ReferenceReport:
        """Compare it with what the calibration expects, if that publishes errors: a table when printed, and a figure by
        its `plot`."""
        title = f"reference on {self.backend}, {self.created}, {many(self.noise.shots, 'shot')}"
        return audit(title, self.noise, self.learned, published=not self.calibration.harmless)

    def age(self, now: datetime.datetime | None = None) -> float:
        """Hours since it was asked for; below 0 where a clock was wrong. A time without an offset is local."""
        now = (now or datetime.datetime.now(datetime.UTC)).astimezone()
        return (now - datetime.datetime.fromisoformat(self.created)).total_seconds() / 3600

    def to_json(self) -> str:
        """Write everything as JSON text."""
        return write_document(self, FORMAT, VERSION, counts=self.counts.to_counts())

    @classmethod
    @reading(FORMAT)
    def from_json(cls, text: str) -> MeasuredReference:
        """Read what `to_json` wrote; ValueError where the text is no reference or from a newer version."""
        content = {"more": [], "conditions": {}, **check_format(text, FORMAT, VERSION)}
        if "flipped" not in content:  # older references say only whether there were flips
            content["flipped"] = [0.5 * bool(content["symmetric"])] * len(content["expected"])
        fields = {f.name: content[f.name] for f in dataclasses.fields(cls)}
        for name in ("expected", "backend", "method", "created", "skeleton"):
            if not isinstance(fields[name], str):
                raise ValueError(f"{name} must be a text; got {fields[name]!r:.60}")
        fields["profile"] = Profile.from_json(json.dumps(content["profile"]))
        fields["calibration"] = Calibration.from_json(json.dumps(content["calibration"]))
        fields["counts"] = Distribution.of(content["counts"], num_bits=fields["profile"].n_bits)
        fields["expected"] = MeasuredNoise(fields["counts"], fields["expected"]).expected
        fields["flipped"] = np.array(content["flipped"], dtype=np.float64)
        n_bits = fields["profile"].n_bits
        if fields["flipped"].shape != (n_bits,) or not ((fields["flipped"] >= 0) & (fields["flipped"] <= 1)).all():
            raise ValueError(f"flipped must be {n_bits} shares from 0 to 1; got {content['flipped']!r:.60}")
        fields["notes"] = tuple(content["notes"])
        fields["conditions"] = dict(content["conditions"])
        fields["more"] = tuple(cls.from_json(json.dumps(part)) for part in content["more"])
        widths = {n_bits, *(part.profile.n_bits for part in fields["more"])}
        if len(widths) > 1:
            raise ValueError(f"references that ran together must have one width; got {sorted(widths)} bits")
        check_time("created", fields["created"])
        return cls(**fields)

    def __repr__(self) -> str:
        return (
            f"MeasuredReference({self.backend}, {many(self.noise.shots, 'shot')}, {self.noise.survival:.1%} kept, "
            f"{self.created})"
        )


def conditions_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Tell from the options of a request what changes the noise of its circuits: decoupling, and whose qubits are
    twirled, "no" where none is; and where measurements are not, whose two readout errors then stay apart."""
    usual = "active" if options["twirling"] == "client" else "active-accum"
    twirled = options["twirls"] > 1 or "twirling" in options["runtime"]
    whose = ("" if options["measure_twirl"] else "gates-only ") + (options["strategy"] or usual)
    return {"decoupling": options["dd"] or "no", "twirling": whose if twirled else "no"}


def may_serve(reference: MeasuredReference, shots: float) -> bool:
    """Tell whether an earlier reference spares a new one of so many shots, where it has the gates and places."""
    return reference.counts.shots >= shots and 0 <= reference.age() <= OLD


def check_reusable(
    reference: MeasuredReference, circuit: str, name: str, backend: str, options: Mapping[str, Any]
) -> tuple[str, ...]:
    """Note the age of an earlier reference, for a circuit of a name and its skeleton's, and other conditions.

    Raises:
        ValueError: the reference is of another machine, skeleton or layout.
    """
    if reference.backend != backend:
        raise ValueError(
            f"the reference must come from the machine that runs, {backend}; got one from {reference.backend}"
        )
    if name != reference.skeleton:
        raise ValueError(
            f"the reference must have the gates of {circuit!r}, but for their angles, at the same places; it "
            "has not: measure another with reference=True"
        )
    age = reference.age()
    old = ", which is long: machines drift" if age > OLD else ""
    told = f"reference of {age:.1f} hours ago{old}"
    if age < 0:
        told = f"reference of a time {-age:.1f} hours ahead: a clock was wrong, and its age is unknown"
    here = conditions_of(options)
    other = [
        f"the reference ran with {there} {kind}, this circuit with {here[kind]} {kind}: its noise may be another's"
        for kind, there in reference.conditions.items()
        if kind in here and here[kind] != there
    ]
    return (told, *other)
