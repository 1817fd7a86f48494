"""The decision for a known circuit: a gate blends the candidate answers, or the counts are left as they came."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import unpack
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.circuit_blend import CircuitBlend
from qcluster.core.decision.circuit_candidates import (
    ALONE,
    BAYESIAN,
    LOG_LINEAR,
    NAMES,
    RAW,
    READOUT,
    SCALED,
    SCALES,
    STRINGS,
    WIDEST,
    Candidates,
    gather,
)
from qcluster.core.decision.circuit_features import features
from qcluster.core.decision.decide import (
    LEAST_CONFIDENCE,
    LEAST_SHARE,
    decide,
    distributed,
    name_heaviest,
    strings_explain,
    unchanged,
    weighed_by,
)
from qcluster.core.decision.features import expectation
from qcluster.core.decision.gate import Gate, shipped
from qcluster.core.mitigation import Mitigation, left
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.kernel import Kernel

_HARDLY_ANY = 0.01
"""Share of shots without a fault below which counts tell nothing about the circuit, unless counts alone have an answer
or refute the calibration."""


def decide_circuit(
    d: Distribution,
    faults: FaultMasks,
    *,
    guard: bool = True,
    expect: str | None = None,
    candidates: Candidates | None = None,
    gate: Gate | None = None,
    patterns: str = "the circuit's faults",
) -> Mitigation:
    """Estimate the ideal distribution from counts and the fault patterns of the compiled circuit, or leave the counts.

    Up to 16 bits every string may be part of the answer, beyond that observed ones and those of the counts-only answer.

    Args:
        d: the counts, twirls undone.
        faults: from `qcluster.device.fault_masks`; `FaultMasks.symmetrised` if measurements were twirled.
        guard: False skips the decision and returns Richardson-Lucy's answer at the noise that the counts allow.
        expect: ``"sparse"``, ``"dense"``, or None: what the user expects of the ideal.
        candidates: the result of `gather` if it is there already.
        gate: weighs the candidates; by default the one that ships for this number of bits, and for rates that are
            published, or up to 12 bits measured.
        patterns: what `reason` calls the fault patterns, in the plural.

    Returns:
        The answer. Cost: that of `gather`, with transforms of 2^n_bits numbers up to 16 bits, of 2^12 to 2^18 numbers
        beyond: some seconds for 100,000 shots of 100 bits, and 100 MB.

    Raises:
        ValueError: counts and faults differ in width, or there are no counts.

    Example:
        >>> masks = np.array([[1], [2], [3]], dtype=np.uint64)
        >>> faults = FaultMasks(2, masks, np.full(3, 0.05), np.zeros(3, dtype=np.uint8), np.full((2, 2), 0.02))
        >>> fixed = decide_circuit(Distribution.of({"00": 450, "11": 440, "01": 55, "10": 55}), faults)
        >>> fixed.applied, sorted(fixed.distribution.top(2))
        (True, ['00', '11'])
    """
    if d.n_bits != faults.n_bits:
        raise ValueError(f"counts and faults must have one width; got {d.n_bits} and {faults.n_bits} bits")
    if not d.n_outcomes:
        raise ValueError("counts must hold at least one shot; got none")
    faults = faults.allowed_by(d)
    source, known = ("the reference", "measured") if faults.measured else ("the calibration", "calibrated")
    by_counts = decide(d) if candidates is None else candidates.alone
    if guard and by_counts.fit is None:  # screened out: no candidates were computed
        return replace(by_counts.answer, method="circuit", rates=flip_rates(Kernel.of(faults, WIDEST), faults))
    candidates = candidates or gather(d, faults, by_counts)
    if guard:
        inputs = np.concatenate([expectation(expect), features(d, faults, candidates)])
        wide = candidates.models is None
        weigh = gate or shipped(NAMES, wide=wide, measured=faults.measured and not wide)
        weights, confidence = weigh(inputs, candidates.present, candidates.gram)
        share = 1 - float(weights[[*candidates.kept]].sum())
        root, why = weights @ candidates.roots, None
        credible = SCALES[candidates.fits] >= 1  # else the counts are sharper than the calibrated noise allows
        faultless = float(np.exp(-faults.expected_faults))  # share of the shots, by the calibration
        drowned = credible and faultless < _HARDLY_ANY and not by_counts.answer.applied
        if share < LEAST_SHARE or confidence < LEAST_CONFIDENCE or drowned:
            why = f"what {patterns} explain may just as well be the ideal output"
        elif unchanged(float(root @ candidates.roots[RAW]) / math.sqrt(root @ root), d.shots):
            why = f"undoing {patterns} changes nothing"
        if why is not None:
            if faultless < _HARDLY_ANY:
                claim = f"by {source}, only {faultless:.1%} of the shots come through without a fault"
                why = (
                    f"{claim}, so the counts say almost nothing about the circuit"
                    if credible
                    else f"{why}; {claim}, which cannot be true of counts as sharp as these"
                )
            return left(d, "circuit", why + weighed_by(gate), flip_rates(candidates.kernel, faults), confidence)
    else:
        weights, confidence, share = np.eye(len(candidates.roots))[SCALED + candidates.fits], None, 1.0
        root = candidates.roots[SCALED + candidates.fits]
    sparse = weights[STRINGS] > 0.5
    chosen = candidates.strings if sparse else np.zeros(0, dtype=np.intp)
    scale = _undone(candidates)[int(np.argmax(weights[LOG_LINEAR:]))]
    reason = name_heaviest(weights, LOG_LINEAR, partial(_phrase, candidates, weights, patterns, known), candidates.kept)
    return Mitigation(
        distribution=distributed(d, candidates.support.words, root * root),
        raw=d,
        method="circuit",
        applied=True,
        share=share,
        confidence=confidence,
        reason=f"{reason}; {_agreement(candidates, root * root, source)}{weighed_by(gate)}",
        centroids=unpack(candidates.support.words[chosen], d.n_bits),
        weights=candidates.few.weights if sparse else np.zeros(0),
        rates=flip_rates(candidates.few.kernel if sparse else candidates.kernel.scaled(scale), faults),
        response=CircuitBlend.of(d, candidates, weights),
    )


def flip_rates(kernel: Kernel, faults: FaultMasks) -> Floats:
    """Return P(read 1|0), P(read 0|1), ``(n_bits, 2)``: an odd number of faults, then a decay; see `Kernel.of`."""
    flips = kernel.flips(faults)
    rises, falls = np.maximum(-kernel.decays, 0.0), np.maximum(kernel.decays, 0.0)
    return np.stack([flips * (1 - falls) + (1 - flips) * rises, flips * (1 - rises) + (1 - flips) * falls], axis=1)


def _phrase(candidates: Candidates, weights: Floats, patterns: str, known: str, candidate: int) -> str:
    """Describe one candidate for the reason; deconvolutions, from `LOG_LINEAR` on, are described together.

    `patterns` and `known` are what the reason calls the fault patterns, and noise at their rates.
    """
    if candidate == RAW:
        return "the counts as they came"
    if candidate == STRINGS:
        strings = strings_explain(len(candidates.few.weights), f" seen through {patterns}")
        return f"{strings} {1 - candidates.few.uniform:.0%} of the shots"
    if candidate == ALONE:
        return f"what the counts say alone ({candidates.alone.answer.reason})"
    if candidate == READOUT:
        return "Richardson-Lucy deconvolution of the readout errors"
    dense = weights[LOG_LINEAR:]
    scale = float(np.exp(dense @ np.log(_undone(candidates)) / dense.sum()))
    noise = f"the {known} noise" if 0.9 < scale < 1.1 else f"{scale:.2g} times the {known} noise"
    kinds = {
        "a log-linear model": weights[LOG_LINEAR:BAYESIAN].sum(),
        "Bayesian deconvolution": weights[BAYESIAN:SCALED].sum(),
        "Richardson-Lucy deconvolution": weights[SCALED:].sum(),
    }
    return f"{max(kinds, key=lambda kind: float(kinds[kind]))} under {patterns}, at {noise}"


def _undone(candidates: Candidates) -> Floats:
    """Return the multiple of the calibrated noise that each candidate from `LOG_LINEAR` on undoes."""
    models = candidates.models
    if models is None:
        return np.array([*np.ones(SCALED - LOG_LINEAR), *SCALES])
    bayesian = float(np.exp(models.bayesian.log_scale(models.probability(BAYESIAN))))
    return np.array([1.0, models.scale, bayesian, models.scale, *SCALES])


def _agreement(candidates: Candidates, answer: Floats, source: str) -> str:
    """Say whether the raw fidelity that the `source` of the fault rates predicts agrees with that which counts show.

    Both are computed for the blended answer, ``(m,)`` probabilities of the strings of the support. Richardson-Lucy's
    estimate at the calibrated noise would be no test: it counts shot noise and excess noise as output, so that any
    prediction would agree.
    """
    ideal = np.bincount(candidates.support.indices, answer, len(candidates.counts)).astype(np.float64)
    predicted, observed = (_overlap(ideal, read) for read in (candidates.kernel.forward(ideal), candidates.counts))
    surprise = candidates.deconvolved.surprise[candidates.scales.index(SCALES.index(1.0))]
    if surprise <= 3 and abs(predicted - observed) <= 0.05:
        return f"{source} predicts {predicted:.0%} raw fidelity, and the counts agree"
    return f"{source} predicts {predicted:.0%} raw fidelity, the counts show {observed:.0%}"


def _overlap(ideal: Floats, read: Floats) -> float:
    """Return the Hellinger fidelity of two vectors, which need not be normalised."""
    return float(np.sqrt(np.maximum(ideal * read, 0)).sum() ** 2 / (ideal.sum() * read.sum()))
