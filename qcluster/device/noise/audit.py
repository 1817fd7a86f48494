"""Compare a reference circuit's counts with the calibration: survival, bit flips, and places where it is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.noise.measured import MeasuredNoise
from qcluster.device.noise.learned import Learned

_FACTOR_THRESHOLD = 3.0
"""Standard deviations by which the logarithm of a factor must differ from 0 for a place to be reported."""
_CROSSTALK_THRESHOLD = 3.0
"""Standard deviations by which the number of its faults must exceed 0 for crosstalk to be reported."""


@dataclass(frozen=True)
class Place:
    """One place of the machine where the measured fault rate differs from the calibrated one."""

    name: str
    """Description, such as "gates on qubits 4-5", "qubit 3 waiting" or "reading bit 2"."""
    factor: float
    """Measured fault rate divided by the calibrated one."""
    low: float
    """Lower end of the factor's range of one standard deviation."""
    high: float
    """Upper end of the factor's range of one standard deviation."""
    faults: float
    """Expected number of faults at this place in the counts of the reference."""

    def __str__(self) -> str:
        direction, values = "good", (self.factor, self.low, self.high)
        if self.factor < 1:
            direction, values = "bad", (1 / self.factor, 1 / self.high, 1 / self.low)
        factor, low, high = values
        return f"the calibration is {factor:.1f} times too {direction} for {self.name} ({low:.1f} to {high:.1f})"


@dataclass(frozen=True, eq=False)
class ReferenceReport:
    """Comparison of a reference circuit's counts with the expectation from the calibration; prints as a table."""

    title: str
    """Machine, time and shots."""
    survival: float
    """Share of the shots that read the expected string."""
    expected_survival: float
    """The same share as predicted by the calibration; nan if the machine publishes no errors to compare with."""
    flips: Floats
    """(n_bits, 2) measured flip rate of each bit, and the rate predicted by the calibration, or nan."""
    places: tuple[Place, ...]
    """Places where the calibration is significantly wrong, worst first; empty if there is nothing to compare with."""
    crosstalk: tuple[tuple[int, int, float], ...]
    """Pairs of classical bits that flip together without a known cause, and how often per shot."""

    @property
    def ratio(self) -> float:
        """Measured number of faults divided by the calibrated one: the ratio of the logarithms of the survivals.

        It is nan where the machine publishes no errors, or no shot read the expected string.
        """
        if not self.survival:
            return np.nan
        expected = float(np.clip(self.expected_survival, 1e-9, 1 - 1e-9))
        return abs(float(np.log(self.survival) / np.log(expected)))  # abs: without any fault, 0, not -0

    @property
    def published(self) -> bool:
        """Whether the machine publishes errors to compare with."""
        return not np.isnan(self.expected_survival)

    def __str__(self) -> str:
        comparison = "nothing to compare it with: the machine publishes no errors"
        if self.published:
            comparison = f"{self.expected_survival:.1%} by the calibration"
            comparison += f" ({self.ratio:.1f} times the faults)" if self.survival else ""
        lines = [
            self.title,
            f"expected string: {self.survival:.1%} measured, {comparison}",
            "bit   flipped" + "   calibrated" * self.published,
            *(
                f"{bit:3d}   {measured:7.2%}" + f"   {predicted:10.2%}" * self.published
                for bit, (measured, predicted) in enumerate(self.flips)
            ),
            *map(str, self.places),
            *(f"bits {i} and {j} flip together in {rate:.2%} of the shots" for i, j, rate in self.crosstalk),
        ]
        return "\n".join(lines)

    def plot(self) -> Any:
        """Plot the flips of each bit and the wrong places; see `qcluster.plot.plot_reference`."""
        from qcluster.plot import plot_reference

        return plot_reference(self)


def audit(title: str, noise: MeasuredNoise, learned: Learned, spreads: Floats, *, published: bool) -> ReferenceReport:
    """Compile the report of a reference.

    Args:
        title: first line of the report.
        noise: flip patterns that the reference measured.
        learned: factors on the calibrated fault rates, learned from the reference.
        spreads: (n_places,) standard deviations of their logarithms.
        published: whether the machine publishes errors; if not, nothing is compared with the calibration.
    """
    places, crosstalk = [], []
    values = (learned.factors.tolist(), learned.faults.tolist(), spreads.tolist())
    for place, factor, faults, spread in zip(learned.places, *values, strict=True):
        if place[0] == "crosstalk":
            if spread * _CROSSTALK_THRESHOLD < 1:
                crosstalk.append((int(place[1]), int(place[2]), faults / noise.shots))
        elif published and abs(np.log(max(factor, 1e-9))) > _FACTOR_THRESHOLD * spread:
            low, high = factor * np.exp(-spread), factor * np.exp(spread)
            places.append((abs(np.log(factor)) / spread, Place(_name(place), factor, float(low), float(high), faults)))
    return ReferenceReport(
        title=title,
        survival=noise.survival,
        expected_survival=learned.survival if published else np.nan,
        flips=np.column_stack([noise.flips, learned.flips if published else np.full(noise.n_bits, np.nan)]),
        places=tuple(place for _, place in sorted(places, key=lambda entry: -entry[0])),
        crosstalk=tuple(sorted(crosstalk, key=lambda pair: -pair[2])),
    )


def _name(place: tuple[Any, ...]) -> str:
    kind, *where = place
    if kind == "pair":
        return f"gates on qubits {where[0]}-{where[1]}"
    return {"gate": "gates on qubit {}", "idle": "qubit {} waiting", "readout": "reading bit {}"}[kind].format(*where)
