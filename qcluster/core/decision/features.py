"""Features for the gate of counts alone. They do not depend on the names of qubits or the order of strings, nor on
which bits are flipped, except for those of the single string, whose prior knows that decay leads to zero."""

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.checks import EXPECT
from qcluster.core.counts.bits import weight_of_ones
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.candidates import DENSE, NAMES, Candidates
from qcluster.core.sparse.product import flip_coincidence, misfit_of_product, product_evidence
from qcluster.core.stats.goodness import collisions, distance_from_uniform
from qcluster.core.stats.special import perplexity

_UPPER = np.triu_indices(len(NAMES), 1)
_QUARTILES = np.linspace(0, 1, 5)


def features(
    d: Distribution, candidates: Candidates, known: Floats | None = None, structure: float | None = None
) -> Floats:
    """Describe counts and candidates to the gate.

    `known` are ``(n, 2)`` flip rates known beforehand; `structure` is `distance_from_uniform` of the counts, if it was
    computed already.

    Returns:
        ``(f,)``, every entry within [-20, 20]; what the user expects (`expectation`) is not included. In the order of
        the code: size of the register and of the data; concentration of the counts; the product of biased bits and the
        single string; the sparse mixture; known rates; for each deconvolution its evidence relative to the best, its
        background and number of strings; squared overlaps of all pairs of candidates; which candidates are present.
    """
    n, shots, fit = d.n_bits, d.shots, candidates.fit
    uniform = n * np.log(2)
    structure = distance_from_uniform(d.bits, d.weights) if structure is None else structure
    p = np.sort(d.probabilities)[::-1]
    ones = weight_of_ones(d.bits, d.weights) / shots
    bias = np.sort(np.minimum(ones, 1 - ones))
    evidence_of_product, likelihood_of_product = product_evidence(d.bits, d.weights)
    rates = np.log(np.clip(fit.rates, 0.001, 1.0))
    scalars = [
        n / 4,
        np.log(shots),
        np.log(d.n_outcomes),
        *of_counts(d),
        np.arcsinh(structure),
        -1.0 if candidates.counts is None else np.arcsinh(misfit_of_product(candidates.counts)),
        *p[:6],
        *[0.0] * (6 - len(p)),
        *np.interp(_QUARTILES * (n - 1), np.arange(n), bias),
        candidates.odds / 10,
        *flip_coincidence(d.bits, d.weights, candidates.string),
        float(np.where(candidates.string, 1 - ones, ones).max()),
        (fit.log_likelihood - likelihood_of_product) / shots,
        np.arcsinh((fit.log_likelihood - evidence_of_product) / 10),
        fit.log_likelihood / shots + uniform,
        fit.agreement,
        np.log(max(1 - fit.agreement, 1e-5)),
        np.arcsinh(fit.excess),
        np.log(max(fit.gap, 1e-3)),
        fit.flip_rate,
        fit.background,
        *fit.regimes,
        float(rates.mean(axis=1).std()),
        abs(float((rates[:, 1] - rates[:, 0]).mean())),
        float(rates.max()),
        float(rates.min()),
        float(fit.simple),
        float(fit.ring),
        np.log(len(fit.weights)),
        np.log(perplexity(fit.weights)),
        np.log(fit.perplexity) / uniform,
        float(known is not None),
        float(np.mean(known)) * 10 if known is not None else 0.0,
        float(np.log(np.clip(known, 0.001, 1.0)).std()) if known is not None else 0.0,
    ]
    posterior, computed = candidates.posterior, candidates.hypotheses.slots - DENSE
    evidence, background, strings = np.zeros((3, len(NAMES) - DENSE))
    relative = posterior.evidence - posterior.evidence.max()
    evidence[computed] = np.log1p(-relative) + 0.0
    background[computed] = posterior.background
    strings[computed] = np.log(posterior.strings()) / uniform
    overlaps, present = candidates.gram[_UPPER] ** 2, candidates.present.astype(np.float64)
    return bounded(np.concatenate([scalars, evidence, background, strings, overlaps, present]))


def of_counts(d: Distribution) -> list[float]:
    """Describe counts to either gate: strings and shots, effective number of strings, collisions."""
    uniform, entropy = d.n_bits * np.log(2), np.log(perplexity(d.probabilities))
    equal = np.log(max(collisions(d.weights), 1e-12))
    return [np.log(d.n_outcomes / d.shots), np.log(d.shots) - uniform, entropy / uniform, entropy, equal + uniform]


def bounded(features: Floats) -> Floats:
    """Clip features to [-20, 20], and replace NaN by 0."""
    return np.asarray(np.clip(np.nan_to_num(features, nan=0.0, posinf=20.0, neginf=-20.0), -20, 20))


def expectation(expect: str | None) -> Floats:
    """Return what the user expects as two numbers, which go before the features: few strings, many strings.

    Example:
        >>> expectation("sparse").tolist(), expectation(None).tolist()
        ([1.0, 0.0], [0.0, 0.0])
    """
    return np.array([float(expect == word) for word in EXPECT])
