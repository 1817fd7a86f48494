"""Features for the gate of known circuits. They do not depend on the names of qubits or the order of strings, except
beyond 16 bits, where strings are hashed, and for rounding errors in log-linear models of few strings."""

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.circuit_candidates import BAYESIAN, NAMES, SCALES, WARY, Candidates
from qcluster.core.decision.features import bounded, of_counts
from qcluster.core.dense.log_linear import LogLinear
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.kernel import Kernel
from qcluster.core.sparse.under_kernel import FewStrings
from qcluster.core.stats.goodness import excess_deviance
from qcluster.core.stats.special import perplexity, unevenness
from qcluster.core.stats.walsh import walsh

_UPPER = np.triu_indices(len(NAMES), 1)
_FAINT, _EVEN = 1e-4, 1e-3
"""Added to numbers and to unevenness before their logarithm is taken."""
_TYPICAL = 0.5
"""Rotations assumed for a circuit of which none are known."""
LEAST_READOUT = 0.004
"""Least level of readout errors in the drawn circuits of training. Smaller ones are described by this one: readout that
is perfect, as in many simulators, would be a number far outside what the gates have seen."""


def features(d: Distribution, faults: FaultMasks, candidates: Candidates) -> Floats:
    """Describe counts, calibration and candidates to the gate.

    Returns:
        ``(f,)``, every entry within [-20, 20]. In the order of the code: size of the register and of the data; noise
        that the calibration predicts; for each multiple of the noise, how surprising the counts are, the raw fidelity
        that it predicts and that the counts show, and how broad its answer is; the few strings; the decision from
        counts alone; what the noise hides, under the calibration and under the strings' kernel; the circuit's
        rotations, and how uneven the answers are, which requires rotations; the last rotations, and the flips that the
        few strings need; the noise that models of the whole output estimate, and how well they fit; squared overlaps
        of all pairs of candidates.
    """
    n, shots = d.n_bits, d.shots
    uniform = n * np.log(2)
    p = np.sort(d.probabilities)[::-1]
    kernel, deconvolved = candidates.kernel, candidates.deconvolved
    used = np.array(candidates.scales)
    nearest = np.abs(used[None] - np.arange(len(SCALES))[:, None]).argmin(axis=1)  # replaces scales that were skipped
    every = np.append(nearest, len(used))
    single = float(-0.5 * np.expm1(-2 * kernel.rates[-n:]).mean())
    flips, needed = kernel.flips(faults), candidates.few.kernel.flips(faults)
    general = [
        n / 4,
        np.log(shots),
        *of_counts(d),
        *p[:4],
        *[0.0] * (4 - len(p)),
        faults.expected_faults,
        np.log(faults.expected_faults + _FAINT),
        np.log(max(float(faults.readout.mean()), LEAST_READOUT) + _FAINT),
        float(np.abs(kernel.decays).mean()) * 10,
        np.log(len(faults.rates) + 1),
        np.log(max(single, LEAST_READOUT) + _FAINT),
        candidates.fits / 4,
    ]
    excess = (deconvolved.deviance - deconvolved.usual) / shots
    overlap = candidates.roots[candidates.slots] @ candidates.roots[0]
    breadth = perplexity(deconvolved.ideals)
    scales = [
        *np.arcsinh(deconvolved.surprise / 3)[every],
        *np.log(np.maximum(excess, 0) + _FAINT)[every],
        *np.log(overlap**2 + _FAINT)[every],
        *((np.log(overlap**2 + _FAINT) - np.log(deconvolved.fidelity + _FAINT)) * 4)[every],
        *(np.log(breadth) / uniform)[every],
        *np.log(breadth)[nearest],
        *deconvolved.ideals.max(axis=1)[every],
    ]
    strings = _few(candidates.few, candidates, shots, uniform)
    alone, fit = candidates.alone.answer, candidates.alone.fit
    by_counts = [
        float(alone.applied),
        alone.share,
        0.5 if alone.confidence is None else alone.confidence,
        0.0 if fit is None else np.log(fit.flip_rate + _FAINT),
        0.0 if fit is None else np.log(fit.flip_rate + _FAINT) - np.log(flips.mean() + _FAINT),
        0.0 if fit is None else fit.background,
        0.0 if fit is None else fit.agreement,
        0.0 if fit is None else np.log(fit.perplexity) / uniform,
        0.0 if fit is None else np.log(len(fit.weights)),
    ]
    sizes, total = np.abs(walsh(candidates.counts)) / candidates.counts.sum(), candidates.counts.sum()
    hidden = _visibility(kernel, flips, sizes, total) + _visibility(candidates.few.kernel, needed, sizes, total)
    turned = _TYPICAL if faults.rotations is None else faults.rotations
    answers = alone.distribution.probabilities, candidates.few.weights, p
    uneven = np.append(unevenness(deconvolved.ideals)[every], [unevenness(answer) for answer in answers])
    turns = [np.log(turned + _EVEN), 2 * np.exp(-turned), float(faults.rotations is None), *np.log(uneven + _EVEN)]
    turns += _last_rotations(faults, candidates, np.maximum(needed - flips, 0))
    models = _models(candidates, uniform)
    overlaps = candidates.gram[_UPPER] ** 2
    return bounded(np.concatenate([general, scales, strings, by_counts, hidden, turns, models, overlaps]))


def _last_rotations(faults: FaultMasks, candidates: Candidates, beyond: Floats) -> list[float]:
    """Describe the last rotations, and whether they explain why few strings need more noise than the calibration says.

    A rotation just before the measurement flips a bit, as a readout error does. Few strings cannot tell the two apart,
    so they need flips of single bits beyond the calibrated ones. A calibration that is too good makes them need more of
    everything, also of patterns of several bits. `beyond` are the flips of each bit ``(n_bits,)`` that the few strings
    need and the calibration does not predict.
    """
    last = np.zeros(faults.n_bits) if faults.last_rotations is None else faults.last_rotations
    sizes = last.mean(), last.max(), beyond.mean(), np.abs(beyond - last).mean()
    single = np.append(np.bitwise_count(faults.masks).sum(axis=1) == 1, np.ones(faults.n_bits, dtype=bool))
    needed, calibrated = (
        np.array([kernel.rates[single].sum(), kernel.rates[~single].sum()])
        for kernel in (candidates.few.kernel, candidates.kernel)
    )
    more = np.log((needed + _EVEN) / (calibrated + _EVEN))
    return [float(faults.last_rotations is None), *np.log(np.array(sizes) + _EVEN), *more]


def _visibility(kernel: Kernel, flips: Floats, sizes: Floats, shots: float) -> list[float]:
    """Describe how much of an ideal the noise of a kernel hides, and whether counts show more than it lets through.

    In the Walsh domain noise multiplies the ideal by the spectrum of its flips, and no coefficient of an ideal exceeds
    1 in size. Where the spectrum is below shot noise, the ideal is hidden; counts above the spectrum refute the kernel.
    `flips` are its flips of each bit, `sizes` the absolute Walsh coefficients of the counts, divided by the shots.
    """
    flips, spectrum = np.sort(flips)[::-1], np.abs(kernel.spectrum)
    above = (sizes - spectrum)[1:].max() * np.sqrt(shots)
    unseen = 1 / (1 + shots * spectrum**2)
    beyond = unseen @ (shots * sizes**2 - 1) / np.sqrt(2 * (unseen @ unseen))
    return [
        *np.log1p(-2 * flips[[0, min(1, len(flips) - 1)]] + _FAINT),
        float(unseen.mean()),
        np.log((spectrum**2).mean()) / np.log(len(spectrum)),
        np.log(spectrum.min() + _FAINT),
        np.arcsinh(above / 3),
        np.arcsinh(beyond / 3),
    ]


def _models(candidates: Candidates, uniform: float) -> list[float]:
    """Describe the models of the whole output: the noise that each estimates, the fits, and the evidence of scales."""
    models = candidates.models
    if models is None:
        return [0.0] * (len(SCALES) + 14)
    bayesian, described = models.bayesian, list[float]()
    for candidate in (BAYESIAN, WARY):
        probability, logs = models.probability(candidate), np.log(bayesian.kernels.scales)
        mean = bayesian.log_scale(probability)
        broad = float(probability[bayesian.prior[:, 0] == bayesian.prior.max()].sum())
        described += [mean, float(np.sqrt(probability @ (logs - mean) ** 2)), broad]
    evidence = bayesian.evidence_of_scales()
    calibrated, scaled = candidates.kernel, candidates.kernel.scaled(models.scale)
    for model, kernel in ((models.calibrated, calibrated), (models.scaled, scaled)):
        described += _log_linear(model, kernel, candidates.counts, uniform)
    return [*np.arcsinh((evidence - evidence[SCALES.index(1.0)]) / 3), *described]


def _log_linear(model: LogLinear, kernel: Kernel, counts: Floats, uniform: float) -> list[float]:
    """Describe a log-linear model: how well it fits, how broad and uneven it is, and its largest probability."""
    beyond, spread = excess_deviance(counts, kernel.forward(model.ideal))
    return [
        np.arcsinh(beyond / spread / 3),
        float(np.log(perplexity(model.ideal))) / uniform,
        float(np.log(unevenness(model.ideal) + _EVEN)),
        float(model.ideal.max()),
    ]


def _few(few: FewStrings, candidates: Candidates, shots: float, uniform: float) -> list[float]:
    """Describe the few strings: how many there are, their noise, and how well they explain the counts."""
    kernel = few.kernel
    beyond, spread = excess_deviance(candidates.counts, kernel.forward(few.ideal))
    read = candidates.kernel.forward(few.noiseless), kernel.forward(few.noiseless), candidates.counts
    raw = [np.sqrt(few.fidelity(vector)) for vector in read]  # calibrated, learned, observed
    noise = [np.log(max(-np.log(min(max(x, 1e-6), 0.999)), 1e-3)) for x in raw]
    rates = np.log((kernel.rates + 1e-5) / (candidates.kernel.rates + 1e-5))
    return [
        np.log(len(few.weights)),
        np.log(perplexity(few.weights)) / uniform,
        few.uniform,
        np.log(SCALES[candidates.fits]),
        np.arcsinh(beyond / spread / 3),
        np.log(max(beyond / shots, 0) + _FAINT),
        few.net_log_likelihood,
        float(few.weights.min()),
        noise[2] - noise[0],
        noise[2] - noise[1],
        noise[2],
        float(rates @ candidates.kernel.rates / max(candidates.kernel.rates.sum(), 1e-9)),
        float(rates.std()),
    ]
