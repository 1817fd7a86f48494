"""What a reference says of the calibration: expected and measured survival, flips of each bit, places that are off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.noise.measured import MeasuredNoise
from qcluster.device.noise.learned import Learned

_SURE = 3.0
"""Standard deviations of the logarithm of a factor from which a place is said to be off."""
_FOUND = 3.0
"""Standard deviations of its faults from which crosstalk is said to be found."""


@dataclass(frozen=True)
class Place:
    """One place of the machine, as a reference and the calibration see it."""

    name: str
    """Such as "gates on qubits 4-5", "qubit 3 waiting", "reading bit 2"."""
    factor: float
    """How many times as often as calibrated faults happen there."""
    low: float
    """Factor one standard deviation lower."""
    high: float
    """Factor one standard deviation higher."""
    faults: float
    """Faults seen there, by expectation."""

    def __str__(self) -> str:
        way, times = "good", (self.factor, self.low, self.high)
        if self.factor < 1:
            way, times = "bad", (1 / self.factor, 1 / self.high, 1 / self.low)
        off, low, high = times
        return f"the calibration is {off:.1f} times too {way} for {self.name} ({low:.1f} to {high:.1f})"


@dataclass(frozen=True, eq=False)
class ReferenceReport:
    """Compare a reference's counts with what the calibration expects of them; prints as a table."""

    title: str
    """Machine, time and shots."""
    survival: float
    """Share of the shots that read the expected string."""
    expected_survival: float
    """The same by the calibration; nan where the machine publishes no errors, so that there is nothing to compare."""
    flips: Floats
    """(n_bits, 2) how often each bit was flipped, and how often the calibration expects it, or nan."""
    places: tuple[Place, ...]
    """Where the calibration is off beyond doubt, worst first; none where there is nothing to compare."""
    crosstalk: tuple[tuple[int, int, float], ...]
    """Pairs of classical bits that flip together without a known cause, and how often in a shot."""

    @property
    def ratio(self) -> float:
        """How many times as many faults as calibrated: the ratio of the logarithms of the survivals; or nan."""
        expected = float(np.clip(self.expected_survival, 1e-9, 1 - 1e-9))
        return abs(float(np.log(max(self.survival, 1e-9)) / np.log(expected)))  # of none at all, 0, not -0

    @property
    def published(self) -> bool:
        """Whether the machine publishes errors, with which the reference is compared."""
        return not np.isnan(self.expected_survival)

    def __str__(self) -> str:
        beside = "nothing to compare it with: the machine publishes no errors"
        if self.published:
            beside = f"{self.expected_survival:.1%} by the calibration ({self.ratio:.1f} times the faults)"
        lines = [
            self.title,
            f"expected string: {self.survival:.1%} measured, {beside}",
            "bit   flipped" + "   calibrated" * self.published,
            *(
                f"{bit:3d}   {one:7.2%}" + f"   {other:10.2%}" * self.published
                for bit, (one, other) in enumerate(self.flips)
            ),
            *map(str, self.places),
            *(f"bits {i} and {j} flip together in {rate:.2%} of the shots" for i, j, rate in self.crosstalk),
        ]
        return "\n".join(lines)

    def plot(self) -> Any:
        """Draw flips of each bit and the places that are off; see `qcluster.plot.plot_reference`."""
        from qcluster.plot import plot_reference

        return plot_reference(self)


def audit(title: str, noise: MeasuredNoise, learned: Learned, *, published: bool) -> ReferenceReport:
    """Make the report of a reference of what it measured and what was learned from that, and of what is published."""
    places, crosstalk = [], []
    for place, factor, faults in zip(learned.places, learned.factors.tolist(), learned.faults.tolist(), strict=True):
        spread = 1 / np.sqrt(faults + 1)
        if place[0] == "crosstalk":
            if faults > _FOUND**2:
                crosstalk.append((int(place[1]), int(place[2]), faults / noise.shots))
        elif published and abs(np.log(max(factor, 1e-9))) > _SURE * spread:
            low, high = factor * np.exp(-spread), factor * np.exp(spread)
            places.append((abs(np.log(factor)) / spread, Place(_name(place), factor, float(low), float(high), faults)))
    return ReferenceReport(
        title=title,
        survival=noise.survival,
        expected_survival=learned.survival if published else np.nan,
        flips=np.column_stack([noise.flips, learned.flips if published else np.full(noise.n_bits, np.nan)]),
        places=tuple(place for _, place in sorted(places, key=lambda found: -found[0])),
        crosstalk=tuple(sorted(crosstalk, key=lambda found: -found[2])),
    )


def _name(place: tuple[Any, ...]) -> str:
    kind, *where = place
    if kind == "pair":
        return f"gates on qubits {where[0]}-{where[1]}"
    return {"gate": "gates on qubit {}", "idle": "qubit {} waiting", "readout": "reading bit {}"}[kind].format(*where)
