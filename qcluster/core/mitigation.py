"""`Mitigation`: the result type of every method."""

from __future__ import annotations  # np.random.Generator would import numpy.random, a tenth of the import time

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import Bits, format_bitstrings
from qcluster.core.counts.distribution import Distribution
from qcluster.core.frozen import Frozen, Valued, freeze_arrays
from qcluster.core.hooks import call_hook
from qcluster.core.uncertainty.interval import Interval, intervals
from qcluster.core.uncertainty.response import Response


@dataclass(frozen=True, eq=False, repr=False)
class Mitigation(Valued, Frozen):
    """The result of `mitigate`: the estimated distribution, and how it was obtained."""

    distribution: Distribution
    """The estimate of the ideal distribution, with as many shots as the input."""
    raw: Distribution
    """The input counts, unchanged."""
    method: str
    """Name of the method."""
    applied: bool
    """False if the counts are returned unchanged."""
    share: float
    """How much of the answer is mitigated, from 0 (the raw counts) to 1."""
    confidence: float | None
    """Probability, 0 to 1, that the mitigated answer is nearer to the ideal than the counts are; also set if that
    answer was rejected. None if the method has no such number."""
    reason: str
    """What was done and why, in one sentence."""
    centroids: Bits
    """``(k, n_bits) bool``: the strings that explain the counts, heaviest first."""
    weights: Floats
    """``(k,)``: weight of each of them, 1 in total; with ``method="paper"`` the share of all shots in its cluster."""
    rates: Floats
    """``(n_bits, 2)``: flip rates P(read 1|0) and P(read 0|1) of each bit, estimated or known, or 0. Where there are
    `centroids`, they explain the counts under these rates; a deconvolution may have undone others, which `reason` says.
    """
    response: Response | None = field(default=None, repr=False, compare=False)
    """How the answer changes with the counts, for intervals; None if the answer is the counts."""

    def __post_init__(self) -> None:
        if np.shape(self.rates) != (self.raw.n_bits, 2):
            raise ValueError(f"rates must be ({self.raw.n_bits}, 2); got shape {np.shape(self.rates)}")
        freeze_arrays(self)

    def to_json(self) -> str:
        """Return the verdict, raw and mitigated probabilities, strings, weights and rates as JSON text.

        The format is "qcluster-mitigation", version 1. ``qcluster mitigate --json`` writes it, and the `RuntimeEncoder`
        of qiskit-ibm-runtime saves results of `MitigatedSampler` in it.

        Example:
            >>> import json
            >>> from qcluster import mitigate
            >>> json.loads(mitigate({"00": 60, "11": 40}).to_json())["raw"]
            {'00': 0.6, '11': 0.4}
        """
        content = {
            "format": "qcluster-mitigation",
            "version": 1,
            "method": self.method,
            "applied": bool(self.applied),
            "share": float(self.share),
            "confidence": None if self.confidence is None else float(self.confidence),
            "reason": self.reason,
            "n_bits": self.raw.n_bits,
            "shots": self.raw.shots,
            "raw": self.raw.to_probs(),
            "mitigated": self.distribution.to_probs(),
            "centroids": dict(zip(format_bitstrings(self.centroids), self.weights.tolist(), strict=True)),
            "rates": self.rates.tolist(),
        }
        return json.dumps(content)

    def interval(
        self, observable: Any, level: float = 0.95, *, samples: int = 200, seed: int | np.random.Generator | None = 0
    ) -> Interval:
        """Estimate a confidence interval of an expectation value, by a bootstrap over shots.

        Shots are redrawn from the observed strings `samples` times, and the answer is estimated again for each redraw.
        The choices of the method (its strings, clusters, fault rates) stay fixed. If several flip rates are plausible,
        each redraw uses one of them, sampled by its posterior probability. With ``applied=False`` it is the interval
        of the counts themselves. Errors of the noise model are included only as far as this posterior covers them; see
        docs/uncertainty.md for how often the ideal value lies within.

        Args:
            observable: a bitstring such as ``"011"``, for its probability, or anything that `Distribution.expectation`
                accepts.
            level: confidence level, between 0 and 1.
            samples: number of redraws, from 2 to 2^22.
            seed: of the redraws; the same seed gives the same interval.

        Returns:
            An Interval. Cost: milliseconds; if a full vector is deconvolved, a tenth of a second up to 8 bits, and a
            second for 12; about a minute for wider counts of 100,000 distinct strings.

        Raises:
            ValueError, TypeError: the observable is not diagonal or has another width; the level is outside (0, 1).

        Example:
            >>> from qcluster import mitigate
            >>> fixed = mitigate({"000": 430, "001": 20, "010": 18, "100": 22, "111": 450})
            >>> interval = fixed.interval("ZZI")
            >>> interval.low <= interval.value <= interval.high, interval.level
            (True, 0.95)
        """
        (interval,) = self.intervals([observable], level, samples=samples, seed=seed)
        return interval

    def intervals(
        self,
        observables: Sequence[Any],
        level: float = 0.95,
        *,
        samples: int = 200,
        seed: int | np.random.Generator | None = 0,
    ) -> list[Interval]:
        """Return the interval of each of several observables, all from the same redraws; see `interval`."""
        estimate = self.raw, self.distribution, self.response
        return intervals(*estimate, observables, level=level, samples=samples, seed=seed)

    def plot(self, ideal: Any = None, *, top: int | None = None, ax: Any = None) -> Any:
        """Draw raw and mitigated probabilities side by side as bars with 95% intervals, under the verdict.

        Args:
            ideal: the ideal distribution if it is known, in any form that `Distribution.of` takes; drawn beside them.
            top: how many of the most probable strings to draw, at least 1. By default 16, or a curve of all strings by
                rank if these hold a small part of the probability.
            ax: matplotlib axes to draw on; a new figure by default.

        Returns:
            The matplotlib figure. `qcluster.plot` draws other distributions.

        Example:
            >>> import qcluster as qc
            >>> qc.mitigate({"00": 60, "01": 5, "11": 40}).plot({"00": 0.5, "11": 0.5}).axes[0].get_ylabel()
            'probability'
        """
        return call_hook("plot", self, ideal, top=top, ax=ax)

    def _repr_html_(self) -> str:
        """Show the verdict and a table of raw and mitigated probabilities with bars, for notebooks."""
        return str(call_hook("show_mitigation", self))

    def __repr__(self) -> str:
        return f"Mitigation({self.method}, applied={self.applied}: {self.reason})"


def left(
    raw: Distribution, method: str, reason: str, rates: Floats | None = None, confidence: float | None = None
) -> Mitigation:
    """Return the counts unchanged, as a Mitigation of that method. Its reason is "left as is: " and the given one, its
    rates are those that the method knows, ``(n_bits, 2)``, and its confidence is that in the answer it rejected."""
    return Mitigation(
        distribution=raw,
        raw=raw,
        method=method,
        applied=False,
        share=0.0,
        confidence=confidence,
        reason=f"left as is: {reason}",
        centroids=np.zeros((0, raw.n_bits), dtype=bool),
        weights=np.zeros(0),
        rates=np.zeros((raw.n_bits, 2)) if rates is None else rates,
    )
