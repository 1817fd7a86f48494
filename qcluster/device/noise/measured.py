"""Results of a reference circuit, and the noise that they imply for circuits with the same gates."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import add
from typing import Any

from qcluster.core.arrays import Floats
from qcluster.core.checks import check_flag
from qcluster.core.counts.distribution import Distribution
from qcluster.core.frozen import Frozen, freeze_arrays
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.measured import MeasuredNoise, shift_expected
from qcluster.core.words import plural
from qcluster.device.circuits.profile import Profile
from qcluster.device.machines.calibration import Calibration
from qcluster.device.noise.audit import ReferenceReport, audit
from qcluster.device.noise.faults import RunLike
from qcluster.device.noise.learned import Learned, learn, learned_faults, log_spreads
from qcluster.device.storage import check_format, check_plain, check_time, document_errors, read_array, write_document

FORMAT = "qcluster-reference"
VERSION = 1

MAX_AGE_HOURS = 24.0
"""Hours after which a reference counts as old: machines are calibrated daily, and drift."""


@dataclass(frozen=True, eq=False, repr=False)
class MeasuredReference(Frozen):
    """Results of a reference circuit. `Run.reference` is one, and `execute` takes one for later circuits.

    It applies to circuits that have the reference's skeleton: the same gates at the same places, up to the angles of
    virtual rotations.
    """

    counts: Distribution
    """Counts with flips undone and twirls pooled."""
    expected: str
    """Noiseless output of the reference circuit, classical bit 0 rightmost."""
    profile: Profile
    """The reference circuit and its facts."""
    calibration: Calibration
    """Calibration that the machine published at the time."""
    backend: str
    """Name of the machine."""
    method: str
    """As in `Run`."""
    created: str
    """Time of the request, in ISO 8601 format."""
    skeleton: str
    """Hash of everything that it shares with its circuits; see `qcluster.device.noise.reference.skeleton`."""
    flipped: Floats
    """(n_bits,) share of the twirls in which each bit was flipped before it was read. It is one half for an even number
    of twirls, which makes readout errors symmetric, and 0 without flips."""
    notes: tuple[str, ...] = ()
    """What was not done as requested, and how the reference differs from the circuit."""
    more: tuple[MeasuredReference, ...] = ()
    """Further references of the same circuit with other angles, run together with this one. Faults that are invisible
    in one may be visible in another; fault rates are learned from all of them together."""
    conditions: dict[str, Any] = field(default_factory=dict)
    """Other settings that affect the noise; see `conditions_of`. Empty if they were not recorded."""
    twirl_counts: tuple[Distribution, ...] = ()
    """The same counts, twirl by twirl, whose scatter widens the ranges of a report; empty if they were not kept."""
    measured_at: str = ""
    """Time at which the machine ran it, in ISO 8601 format; empty in a simulation, or if the service did not say."""

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def symmetric(self) -> bool:
        """Whether twirls made the readout errors of each measured bit symmetric."""
        return bool((self.flipped[self.profile.measured >= 0] == 0.5).all())

    @property
    def parts(self) -> tuple[MeasuredReference, ...]:
        """This reference and those in `more`."""
        return (self, *self.more)

    @cached_property
    def noise(self) -> MeasuredNoise:
        """Flip patterns of all `parts` together, as `noise` for `qcluster.mitigate` of any circuit of this skeleton."""
        counts = [shift_expected(part.counts, part.expected, self.expected) for part in self.parts]
        return MeasuredNoise(reduce(add, counts), self.expected)

    @cached_property
    def learned(self) -> Learned:
        """Factors on the calibrated fault rates, place by place; see `qcluster.device.noise.learned.learn`."""
        return learn(self._references, self.calibration, idle=self.method == "hardware")

    @property
    def _references(self) -> list[tuple[Profile, str, Distribution, Floats]]:
        return [(part.profile, part.expected, part.counts, part.flipped) for part in self.parts]

    def faults_of(self, run: RunLike, *, dt: float | None = None, draws: int = 64) -> FaultMasks:
        """Find the fault masks of a run of this skeleton at the rates learned from this reference.

        Factors belong to a calibration: if the run has another one, they are learned anew from it. See
        `qcluster.device.noise.learned.learned_faults`.
        """
        return learned_faults(run, self._learned_under(run.calibration), dt=dt, draws=draws)

    def _learned_under(self, calibration: Calibration) -> Learned:
        """Return `learned` relative to another calibration, such as that of a later run."""
        if calibration.identity == self.calibration.identity:
            return self.learned
        if calibration.identity not in self._learned_elsewhere:
            self._learned_elsewhere[calibration.identity] = dataclasses.replace(self, calibration=calibration).learned
        return self._learned_elsewhere[calibration.identity]

    @cached_property
    def _learned_elsewhere(self) -> dict[str, Learned]:
        """Cache of `learned` under other calibrations, by their identity."""
        return {}

    @property
    def time(self) -> str:
        """Time at which it was measured or, if that is unknown, requested, in ISO 8601 format."""
        return self.measured_at or self.created

    def report(self) -> ReferenceReport:
        """Compare the counts with the prediction of the calibration: a table when printed, a figure by its `plot`."""
        title = f"reference on {self.backend}, {self.time}, {plural(self.noise.shots, 'shot')}"
        twirls, idle = [part.twirl_counts for part in self.parts], self.method == "hardware"
        spreads = log_spreads(self._references, twirls, self.calibration, self.learned, idle=idle)
        return audit(title, self.noise, self.learned, spreads, published=not self.calibration.harmless)

    def age(self, now: datetime.datetime | None = None) -> float:
        """Return the hours since the reference was measured or, if that is unknown, requested; negative if a clock was
        wrong.

        A time without an offset is taken as local time.
        """
        now = (now or datetime.datetime.now(datetime.UTC)).astimezone()
        return (now - datetime.datetime.fromisoformat(self.time)).total_seconds() / 3600

    def to_json(self) -> str:
        """Serialise the reference as JSON text."""
        leave = {name for name in ("twirl_counts", "measured_at") if not getattr(self, name)}
        return write_document(self, FORMAT, VERSION, leave, counts=self.counts.to_counts())

    @classmethod
    @document_errors(FORMAT)
    def from_json(cls, text: str) -> MeasuredReference:
        """Read the output of `to_json`; ValueError if the text is not a reference, or comes from a newer version."""
        later = {"more": [], "conditions": {}, "twirl_counts": [], "measured_at": ""}  # older references lack these
        content = {**later, **check_format(text, FORMAT, VERSION)}
        if "flipped" not in content:  # older references state only whether there were flips
            content["flipped"] = [0.5 * check_flag("symmetric", content["symmetric"])] * len(content["expected"])
        fields = {f.name: content[f.name] for f in dataclasses.fields(cls)}
        check_plain(cls, content)
        fields["profile"] = Profile.from_json(json.dumps(content["profile"]))
        fields["calibration"] = Calibration.from_json(json.dumps(content["calibration"]))
        fields["counts"] = Distribution.of(content["counts"], num_bits=fields["profile"].n_bits)
        fields["twirl_counts"] = tuple(
            Distribution.of(counts, num_bits=fields["profile"].n_bits) for counts in content["twirl_counts"]
        )
        if fields["twirl_counts"] and reduce(add, fields["twirl_counts"]) != fields["counts"]:
            raise ValueError("twirl_counts must add up to counts; they do not")
        fields["expected"] = MeasuredNoise(fields["counts"], fields["expected"]).expected
        fields["flipped"] = read_array("flipped", content["flipped"], "f")
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
        if fields["measured_at"]:
            check_time("measured_at", fields["measured_at"])
        return cls(**fields)

    def __repr__(self) -> str:
        return (
            f"MeasuredReference({self.backend}, {plural(self.noise.shots, 'shot')}, {self.noise.survival:.1%} kept, "
            f"{self.time})"
        )


def conditions_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Extract from the options of a request the settings that affect the noise of its circuits.

    Returns:
        "decoupling": the sequence, or "no". "twirling": the strategy, or "no"; it begins with "gates-only" where
        measurements are not twirled, so that their two readout errors stay distinct.
    """
    default = "active" if options["twirling"] == "client" else "active-accum"
    twirled = options["twirls"] > 1 or "twirling" in options["runtime"]
    twirling = ("" if options["measure_twirl"] else "gates-only ") + (options["strategy"] or default)
    return {"decoupling": options["dd"] or "no", "twirling": twirling if twirled else "no"}


def is_reusable(reference: MeasuredReference, shots: float) -> bool:
    """Return whether an earlier reference of the same skeleton is recent and large enough to replace a new one.

    Args:
        reference: the earlier reference.
        shots: shots that a new reference would have.
    """
    return reference.counts.shots >= shots and 0 <= reference.age() <= MAX_AGE_HOURS


def check_reusable(
    reference: MeasuredReference, circuit: str, name: str, backend: str, options: Mapping[str, Any]
) -> tuple[str, ...]:
    """Check that an earlier reference fits a circuit, and note its age and differences in the conditions.

    Args:
        reference: the earlier reference.
        circuit: name of the circuit.
        name: hash of the circuit's skeleton.
        backend: name of the machine.
        options: options of the request.

    Raises:
        ValueError: the reference is from another machine, or of another skeleton.
    """
    if reference.backend != backend:
        raise ValueError(
            f"the reference must come from the machine that runs, {backend}; got one from {reference.backend}"
        )
    if name != reference.skeleton:
        raise ValueError(
            f"the reference must have the gates of {circuit!r}, up to angles, at the same places; it does not: compile "
            "with the seed and optimization level of its run, or measure another with reference=True"
        )
    age = reference.age()
    old = ", which is long: machines drift" if age > MAX_AGE_HOURS else ""
    note = f"reference measured {age:.1f} hours ago{old}"
    if age < 0:
        note = f"reference dated {-age:.1f} hours in the future: a clock was wrong, and its age is unknown"
    here = conditions_of(options)
    differences = [
        f"the reference ran with {there} {kind}, this circuit with {here[kind]} {kind}: their noise may differ"
        for kind, there in reference.conditions.items()
        if kind in here and here[kind] != there
    ]
    return (note, *differences)
