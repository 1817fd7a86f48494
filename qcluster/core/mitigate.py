"""`mitigate`: picks the method, returns a `Mitigation`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arithmetic import own_errstate
from qcluster.core.bits import Bits, format_bitstrings
from qcluster.core.blend import Blended
from qcluster.core.channel import as_rates
from qcluster.core.circuit import CircuitSettings, mitigate_circuit
from qcluster.core.distribution import Distribution
from qcluster.core.faults import FaultMasks
from qcluster.core.frozen import Frozen, freeze_arrays
from qcluster.core.goodness import beyond_uniform
from qcluster.core.guard import combine, trust
from qcluster.core.interval import Interval, intervals
from qcluster.core.measured_method import MeasuredFit, MeasuredSettings, mitigate_measured
from qcluster.core.mixture import MOST_BITS, MixtureSettings, fit_mixture
from qcluster.core.noise.measured import MeasuredNoise
from qcluster.core.paper import PaperSettings, clustered, q_cluster
from qcluster.core.response import Response, Strings
from qcluster.core.verdict import GuardSettings

Floats = NDArray[np.float64]

S = TypeVar("S")

_MOSTLY = 0.9
"""Share of the most likely output that a few strings must hold to be believed of a run whose measured noise does not
quite explain the counts."""

METHODS = ("mixture", "paper", "circuit")
"""Names that `mitigate` takes for its method; the first is the default."""
_STRUCTURE = 4.0
"""Standard deviations beyond uniform noise from which counts have a structure that can be looked for: shot noise alone
goes there once in some ten thousand counts."""


@dataclass(frozen=True, eq=False, repr=False)
class Mitigation(Frozen):
    """The outcome of `mitigate`: the better distribution, and what was done to get it."""

    distribution: Distribution
    """The estimate of the ideal distribution, with as many shots as the input."""
    raw: Distribution
    """The counts as they came."""
    method: str
    """Name of the method."""
    applied: bool
    """False when the counts are returned as they came."""
    share: float
    """How much of the answer is mitigated, 0 (counts as they came) to 1."""
    confidence: float | None
    """How sure the verdict is, 0 to 1; None where the method has no such number."""
    reason: str
    """What was done and why, in one sentence."""
    centroids: Bits
    """``(k, n_bits) bool``: the strings that explain the counts, heaviest first."""
    weights: Floats
    """``(k,)``: share of the shots that each explains."""
    rates: Floats
    """Flip rates used: ``(n_bits,)``, or ``(n_bits, 2)`` = P(read 1|0), P(read 0|1) where they differ."""
    response: Response | None = field(default=None, repr=False)
    """How the answer moves with the counts; None where it is the counts."""

    def __post_init__(self) -> None:
        freeze_arrays(self)

    def __eq__(self, other: object) -> bool:
        """Tell whether all is the same; `response` follows from the rest."""
        if not isinstance(other, Mitigation):
            return NotImplemented
        names = [field.name for field in fields(self) if field.name != "response"]
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment]

    def to_json(self) -> str:
        """Write verdict, probabilities raw and mitigated, clusters and rates as JSON text.

        A document of format "qcluster-mitigation", version 1, as ``qcluster mitigate --json`` writes it; the
        `RuntimeEncoder` of qiskit-ibm-runtime saves results of `MitigatedSampler` by it.

        Example:
            >>> import json
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
        """Say between which values an average lies, by a bootstrap over shots.

        Shots are redrawn from the observed strings, `samples` times at once, and what the answer would then be is
        found with the method's choices held (its strings, clusters, fault rates) and its estimates made anew; where
        several flip rates are plausible, each redraw believes one of them. With ``applied=False`` it is the interval
        of the counts themselves. Errors of the noise model are in it only so far as the method doubts: see
        docs/uncertainty.md for how often the ideal value lies within.

        Args:
            observable: a bitstring such as ``"011"``, for its probability, or anything that `Distribution.expectation`
                takes.
            level: with which probability, between 0 and 1.
            samples: number of redraws.
            seed: of the redraws; the same seed gives the same interval.

        Returns:
            An Interval. Cost: milliseconds; where a full vector is deconvolved, as long as the mitigation itself (2 s
            for 12 bits).

        Raises:
            ValueError, TypeError: an observable that is not diagonal, or has another width; a level outside (0, 1).

        Example:
            >>> fixed = mitigate({"000": 430, "001": 20, "010": 18, "100": 22, "111": 450})
            >>> found = fixed.interval("ZZI")
            >>> found.low <= found.value <= found.high, found.level
            (True, 0.95)
        """
        (found,) = self.intervals([observable], level, samples=samples, seed=seed)
        return found

    def intervals(
        self,
        observables: Sequence[Any],
        level: float = 0.95,
        *,
        samples: int = 200,
        seed: int | np.random.Generator | None = 0,
    ) -> list[Interval]:
        """Give the interval of each of several observables, all from the same redraws; see `interval`."""
        given = self.raw, self.distribution, self.response, observables
        return intervals(*given, level=level, samples=samples, seed=seed)

    def __repr__(self) -> str:
        return f"Mitigation({self.method}, applied={self.applied}: {self.reason})"


@own_errstate
def mitigate(
    counts: Any,
    rates: Any = None,
    *,
    method: str | None = None,
    guard: bool | GuardSettings = True,
    faults: FaultMasks | None = None,
    noise: Any = None,
    settings: PaperSettings | MixtureSettings | CircuitSettings | MeasuredSettings | None = None,
) -> Mitigation:
    """Estimate the ideal distribution from measured counts.

    Args:
        counts: anything that `Distribution.of` takes, or a `Run`, which brings the `faults` of its circuit.
        rates: flip rates: one number, ``(n_bits,)``, or ``(n_bits, 2)`` = P(read 1|0), P(read 0|1). A prior for
            ``"mixture"``, which never needs them; ``"paper"`` cannot do without.
        method: ``"mixture"`` (default for counts), the sparse mixture with deconvolution and a guard; ``"paper"``,
            Q-Cluster as published (arXiv:2504.10801); or ``"circuit"``, under the fault patterns of the compiled
            circuit. Where there are such patterns the default is ``"circuit"`` if they explain the counts, else
            ``"mixture"``.
        guard: with False, ``"mixture"`` answers with its strings alone, whatever the evidence for them;
            `GuardSettings` change the constants of the guard.
        faults: fault patterns of the compiled circuit, from `qcluster.device.fault_masks`; a Run brings its own.
        noise: `MeasuredNoise`, what a reference circuit measured; no method, rates or faults go with it.
        settings: constants of the method, `MixtureSettings`, `PaperSettings`, `CircuitSettings` or, with `noise`,
            `MeasuredSettings`.

    Returns:
        A Mitigation; `counts` are not changed, and the result has as many shots. With ``applied=False`` they are
        returned as they came, and `reason` says why; so are those of more than 896 bits, but for ``"paper"``.

    Raises:
        ValueError, TypeError: bad counts, rates or method, saying what must hold and what came.

    Example:
        >>> fixed = mitigate({"000": 430, "001": 20, "010": 18, "100": 22, "011": 21, "101": 17, "110": 22, "111": 450})
        >>> sorted(fixed.distribution.top(2)), fixed.distribution.shots, fixed.applied
        (['000', '111'], 1000.0, True)
    """
    raw = Distribution.of(counts)
    if noise is not None:
        _check_noise(noise, rates=rates, method=method, faults=faults)
        return _measured(raw, noise, _fitting(settings, MeasuredSettings))
    if method not in (None, *METHODS):
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    if faults is not None and method not in (None, "circuit"):
        raise ValueError(f'method="circuit" goes with faults, other methods without; got method={method!r}')
    if not isinstance(guard, (bool, GuardSettings)):
        raise TypeError(f"guard must be True, False or GuardSettings; got {guard!r}")
    if not isinstance(faults, (FaultMasks, type(None))):
        raise TypeError(f"faults must be FaultMasks, as fault_masks gives them; got {type(faults).__name__}")
    if raw.n_bits > MOST_BITS and method != "paper":
        reason = f"{raw.n_bits} bits are more than the {MOST_BITS} that this method takes"
        return _left(raw, method or METHODS[0], reason)
    plain = rates is None and settings is None and guard is True
    if faults is None and (method == "circuit" or (method is None and plain)):
        offered = getattr(counts, "faults", None)
        faults = offered if isinstance(offered, FaultMasks) else None
        measured = getattr(getattr(counts, "reference", None), "noise", None)
        if method is None and isinstance(measured, MeasuredNoise) and not measured.refusal:
            answer = mitigate_measured(raw, measured)
            if faults is None or (answer.kind == "sparse" and (answer.explained or answer.held > _MOSTLY)):
                return _told(raw, answer)
    if faults is not None:
        return _circuit(raw, faults, _fitting(settings, CircuitSettings), strict=method is not None)
    if method == "circuit":
        raise ValueError('method="circuit" goes with faults, or with a Run that has them; got neither')
    method = method or METHODS[0]
    pairs = None if rates is None else as_rates(rates, raw.n_bits)
    if method == "mixture":
        return _mixture(raw, pairs, guard, _fitting(settings, MixtureSettings))
    if pairs is None:
        raise ValueError(
            'method="paper" needs rates, the flip rate of each bit, such as mitigate(counts, 0.05); got none'
        )
    return _paper(raw, pairs, _fitting(settings, PaperSettings))


def _left(raw: Distribution, method: str, reason: str) -> Mitigation:
    nothing = np.zeros((0, raw.n_bits), dtype=bool), np.zeros(0), np.zeros((raw.n_bits, 2))
    return Mitigation(raw, raw, method, False, 0.0, None, f"{reason}: left as is", *nothing)


def _fitting(settings: Any, kind: type[S]) -> S:
    if settings is None:
        return kind()
    if not isinstance(settings, kind):
        raise TypeError(f"settings of this method must be {kind.__name__}; got {type(settings).__name__}")
    return settings


def _mixture(
    raw: Distribution, pairs: Floats | None, guard: bool | GuardSettings, settings: MixtureSettings
) -> Mitigation:
    if guard and raw.shots > 1 and raw.n_bits and beyond_uniform(raw.bits, raw.weights) < _STRUCTURE:
        return _left(raw, "mixture", "the counts cannot be told from uniform noise")
    fit = fit_mixture(raw.bits, raw.weights, rates=pairs, settings=settings)
    constants = guard if isinstance(guard, GuardSettings) else None
    answer = combine(raw, fit, rates=pairs, settings=constants) if guard else trust(raw, fit)
    strings = Strings(raw, fit.centroids, fit.weights, fit.background, fit.rates, settings.prior_shots)
    blended = strings if answer.blend is None else Blended(strings, answer.blend)
    return Mitigation(
        distribution=Distribution(answer.bits, answer.weights) if answer.applied else raw,
        raw=raw,
        method="mixture",
        applied=answer.applied,
        share=answer.share,
        confidence=answer.confidence,
        reason=answer.reason,
        centroids=fit.centroids,
        weights=fit.weights,
        rates=fit.rates,
        response=blended if answer.applied else None,
    )


def _circuit(raw: Distribution, faults: FaultMasks, settings: CircuitSettings, *, strict: bool) -> Mitigation:
    """Mitigate under the circuit's faults; where these do not explain the counts, by the counts alone unless strict."""
    fit = mitigate_circuit(raw, faults, settings=settings)
    if not (fit.believed or strict):
        alone = _mixture(raw, None, True, MixtureSettings())
        reason = f"the circuit's faults do not explain the counts; by these alone: {alone.reason}"
        return replace(alone, reason=reason)
    return Mitigation(
        distribution=fit.distribution,
        raw=raw,
        method="circuit",
        applied=fit.applied,
        share=fit.share,
        confidence=None,
        reason=fit.reason,
        centroids=fit.centroids,
        weights=fit.weights,
        rates=fit.rates,
        response=fit.response,
    )


def _check_noise(noise: Any, **others: Any) -> None:
    """Raise unless the noise is a measured one, and nothing is given beside it."""
    if not isinstance(noise, MeasuredNoise):
        raise TypeError(f"noise must be MeasuredNoise, such as MeasuredNoise(reference_counts, '000'); got {noise!r}")
    given = [name for name, value in others.items() if value is not None]
    if given:
        raise ValueError(f"noise goes without {', '.join(others)}; got {given[0]} as well")


def _measured(raw: Distribution, noise: MeasuredNoise, settings: MeasuredSettings) -> Mitigation:
    return _told(raw, mitigate_measured(raw, noise, settings=settings))


def _told(raw: Distribution, fit: MeasuredFit) -> Mitigation:
    return Mitigation(
        distribution=fit.distribution,
        raw=raw,
        method="measured",
        applied=fit.applied,
        share=float(fit.applied),
        confidence=None,
        reason=fit.reason,
        centroids=fit.centroids,
        weights=fit.weights,
        rates=fit.rates,
        response=fit.response,
    )


def _paper(raw: Distribution, pairs: Floats, settings: PaperSettings) -> Mitigation:
    distribution, found = q_cluster(raw, pairs, settings)
    heaviest = np.argsort(-found.weights, kind="stable")
    symmetric = bool((pairs[:, 0] == pairs[:, 1]).all())
    covered, many = float(found.weights.sum()), len(found.weights)
    return Mitigation(
        distribution=distribution,
        raw=raw,
        method="paper",
        applied=True,
        share=1.0,
        confidence=None,
        reason=f"{covered:.0%} of the shots lie within reach of {many} centroid{'s' if many > 1 else ''} "
        f"at {pairs.mean():.1%} flips per bit",
        centroids=found.centroids[heaviest],
        weights=found.weights[heaviest],
        rates=pairs[:, 0] if symmetric else pairs,
        response=clustered(raw, found, pairs, settings),
    )
