"""From features to physics: the few quantities on which the rate depends, most of them rates like the target."""

from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from qcluster.core.arrays import Floats
from qcluster.core.checks import check_real
from qcluster.learn.features import NAMES, TYPICAL_ERROR, TYPICAL_READOUT

EULER = 0.5772
"""The largest of 2^m exponential variables of mean 1 has expected value m ln 2 + this constant."""

KERNEL = tuple(name for name in NAMES if name.startswith(("kernel_", "few_")))
"""Features from the circuit's noise kernel, see `qcluster.learn.kernels`; used unchanged."""

FAULT = ("fault_rate", "fault_entropy", "fault_peak", "fault_gain")
"""Columns from the answer of `mitigate` that knows the circuit's faults."""

COLUMNS = (
    "closed_form",
    "entropy_flip",
    "n_measured",
    "typical_form",
    "neighbour_flip",
    "collision_flip",
    "top_flip",
    "mean_distance",
    "local_flip",
    "speckle_form",
    "readout_mean",
    "answer_rate",
    "answer_entropy",
    "answer_peak",
    "answer_gain",
    "flat_form",
    "entropy",
    "kernel_speckle",
    *KERNEL,
    *FAULT,
    "kernel_flat",
    "kernel_best",
)
"""Columns that the forests use."""

RISING = ("closed_form", "entropy_flip", "speckle_form", "answer_rate", "flat_form")
"""Columns in which the rate can only rise, other things equal: more errors, and flatter counts. The other statistics of
the counts are also large where the ideal output itself is flat."""

BASE = "kernel_best"
"""Where this column is known, the forests predict the difference between it and the rate (as square roots)."""

RICH = ("n_measured", "entropy", "kernel_speckle", *KERNEL, *FAULT, "kernel_flat", BASE)
"""Columns used where the kernel is known: with all columns, the trees would identify circuits instead of noise."""

SPARES = (
    *((name, "kernel_rate") for name in COLUMNS if name not in RICH),
    ("typical_form", "closed_form"),
    ("entropy", "entropy_flip"),
)
"""Pairs of a column and a better one: the first is used only where the second is unknown."""

STRATA = "answer_entropy", (0.3, 0.6)
"""Column, and the values at which it is cut, for the strata of intervals where the kernel is unknown: how spread the
output looks. Where the kernel is known, expected errors already suit peaked and spread outputs alike."""

FLAT = 0.5, 0.7
"""Range of entropies of the answer (divided by the number of bits) in which an output changes from a few strings to a
speckle. Chosen, like `SHARPER`, by cross-validation over families of simulated circuits."""

SHARPER = 0.3, 0.02
"""The rate against the answer is fully trusted if the answer's entropy is lower than that of the counts by this share,
times the expected rate over 0.3 (a factor between the second number and 1). Where the guard leaves the counts
unchanged, that rate is 0 and means nothing."""

LIKELY = 2.2
"""Largest rate accepted from an answer, in units of the closed form. 88 % of the simulated runs with drift stay below;
an answer that implies more is probably sharper than the true output."""

TYPICAL = {
    "two_qubit": TYPICAL_ERROR[2],
    "sx": TYPICAL_ERROR[1],
    "x": TYPICAL_ERROR[1],
    "n_measured": TYPICAL_READOUT,
}
"""Typical loss of one gate or readout where the machine is unknown."""


class PhysicalColumns(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn rows of `FEATURES` into a few physical quantities; NaN where an ingredient is unknown.

    With L = -log(esp) + idling, r = exp(-L) and m measured bits:

    - closed_form: 1 - (r + (1-r) 2^-m)^(1/m), the rate if every error leads to a uniformly random string;
    - typical_form: the same from the gate counts alone, with the losses of `TYPICAL`: how hard the circuit is;
    - entropy_flip, collision_flip: the flip rate at which a single string with independent flips has this entropy
      (as expected from this many shots) or collision probability;
    - top_flip: 1 - top^(1/m); neighbour_flip: t / (t + m), t = weight at distance one over weight of the top string;
    - speckle_form: like closed_form, for an ideal output that is spread over all strings like that of a random circuit;
    - flat_form: closed_form where the answer is a few strings, speckle_form where it is spread, interpolated between;
    - answer_peak, fault_peak: 1 - (largest probability of the answer)^(1/m); answer_gain, fault_gain: entropy of the
      counts minus that of the answer;
    - kernel_speckle, kernel_flat: like speckle_form and flat_form, with the probability from the circuit's kernel that
      no measured bit is flipped, and the entropy of the answer that knows the faults;
    - kernel_best: the rate against that answer where it is sharper than the counts, otherwise kernel_flat;
    - all others are copied.

    Args:
        idle_constant: where no schedule is known, idling is this times n_qubits x two_qubit: the loss of one qubit
            during one two-qubit gate.
        shots: number of shots to assume where it is unknown.
    """

    def __init__(self, idle_constant: float = 0.004, shots: float = 8192.0) -> None:
        self.idle_constant = idle_constant
        self.shots = shots

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Check the parameters and the number of columns; nothing is learned."""
        check_real("idle_constant", self.idle_constant, 0)
        check_real("shots", self.shots, 0, open_low=True)
        self.n_features_in_ = _rows(X).shape[1]
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Return ``(n_rows, len(COLUMNS))``."""
        feature = dict(zip(NAMES, _rows(X).T, strict=True))
        m = feature["n_measured"]
        waiting = self.idle_constant * feature["n_qubits"] * feature["two_qubit"]
        idle = np.where(np.isnan(feature["idle_loss"]), waiting, feature["idle_loss"])
        kept = np.clip(feature["esp"], 1e-300, 1.0) * np.exp(-idle)
        shots = np.where(np.isnan(feature["shots"]), self.shots, feature["shots"])
        ratio = feature["near_weight"] / feature["top_weight"]
        typical = sum(loss * feature[name] for name, loss in TYPICAL.items()) + waiting
        column = {
            "closed_form": closed_form(kept, m),
            "typical_form": closed_form(np.exp(-typical), m),
            "entropy_flip": entropy_flip(feature["entropy"], m, shots),
            "n_measured": m,
            "neighbour_flip": ratio / (ratio + m),
            "collision_flip": 0.5 - 0.5 * np.sqrt(np.clip(2 * feature["collision"] ** (1 / m) - 1, 0, 1)),
            "top_flip": 1 - feature["top_weight"] ** (1 / m),
            "mean_distance": feature["mean_distance"],
            "local_flip": feature["local_flip"],
            "speckle_form": speckle_form(kept, m),
            "readout_mean": feature["readout_mean"],
        }
        for name in ("answer", "fault"):
            column[f"{name}_rate"], column[f"{name}_entropy"] = feature[f"{name}_rate"], feature[f"{name}_entropy"]
            column[f"{name}_peak"] = 1 - feature[f"{name}_top"] ** (1 / m)
            column[f"{name}_gain"] = feature["entropy"] - feature[f"{name}_entropy"]
        column["flat_form"] = _between(column["answer_entropy"], column["closed_form"], column["speckle_form"])
        column |= {name: feature[name] for name in ("entropy", *KERNEL)}
        unflipped = (1 - feature["kernel_flip"]) ** m
        column["kernel_speckle"], closed = speckle_form(unflipped, m), closed_form(unflipped, m)
        column["kernel_flat"] = _between(column["fault_entropy"], closed, column["kernel_speckle"])
        needed = SHARPER[0] * np.maximum(feature["entropy"], 1e-9) * np.clip(column["kernel_flat"] / 0.3, SHARPER[1], 1)
        trust = np.clip(column["fault_gain"] / needed, 0, 1)
        capped = np.minimum(column["fault_rate"], LIKELY * closed)
        column["kernel_best"] = trust * capped + (1 - trust) * column["kernel_flat"]
        return np.column_stack([column[name] for name in COLUMNS])

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the columns of `transform`."""
        return np.array(COLUMNS, dtype=object)


def _between(shape: Floats, peaked: Floats, spread: Floats) -> Floats:
    """Interpolate between the two forms by the entropy of an answer."""
    flat = np.clip((shape - FLAT[0]) / (FLAT[1] - FLAT[0]), 0, 1)
    return np.asarray((1 - flat) * peaked + flat * spread)


def closed_form(success: ArrayLike, n_measured: ArrayLike) -> Floats:
    """Return the rate of a run that is error-free with this probability and otherwise uniform over all strings."""
    r, m = np.asarray(success, dtype=np.float64), np.asarray(n_measured, dtype=np.float64)
    rate: Floats = 1 - (r + (1 - r) * 2.0**-m) ** (1 / m)
    return rate


def speckle_form(success: ArrayLike, n_measured: ArrayLike) -> Floats:
    """Return the same rate for an ideal output that is a Porter-Thomas speckle, like that of a random circuit.

    The largest of its 2^m probabilities has expected value (m ln 2 + 0.58) 2^-m; uniform noise reduces it to 2^-m.
    """
    r, m = np.asarray(success, dtype=np.float64), np.asarray(n_measured, dtype=np.float64)
    rate: Floats = 1 - (r + (1 - r) / (m * np.log(2) + EULER)) ** (1 / m)
    return rate


def entropy_flip(entropy: Floats, n_measured: Floats, shots: Floats) -> Floats:
    """Find the flip rate at which a single string has this normalised entropy, as expected from this many shots."""
    result = np.full(len(entropy), np.nan)
    for row in np.flatnonzero(~np.isnan(entropy + n_measured + shots)):
        m = int(n_measured[row])
        result[row] = np.interp(entropy[row] * m, _entropies(m, _rounded(shots[row])), _GRID)
    return result


_GRID = np.concatenate([[0.0], np.geomspace(1e-4, 0.5, 120)])


def _rounded(shots: float) -> float:
    """Round to a sixteenth of an octave, so that only few curves are computed and cached."""
    return float(2 ** (round(16 * np.log2(max(shots, 1.0))) / 16))


@lru_cache(maxsize=4096)
def _entropies(m: int, shots: float) -> Floats:
    """Return the expected entropy in bits of the counts of m independent bits, for each rate of `_GRID`; rising.

    Strings at distance k have the same probability p, and counts c that are nearly Poisson with mean a = shots x p.
    For such a count, E[-(c/N) log2(c/N)] = p x E[-log2((c+1)/N)], since c Poisson(c; a) = a Poisson(c-1; a).
    """
    from scipy.special import gammaln

    k = np.arange(m + 1)
    q = np.clip(_GRID, 1e-12, None)[:, None]
    p = np.exp(k * np.log(q) + (m - k) * np.log1p(-q))
    strings = np.exp(gammaln(m + 1) - gammaln(k + 1) - gammaln(m - k + 1))
    bits = np.maximum.accumulate((strings * p * (np.log2(shots) - _mean_log2(shots * p))).sum(axis=1))
    return np.asarray(bits + 1e-12 * np.arange(len(bits)))


def _mean_log2(mean: Floats) -> Floats:
    """Return E[log2(c + 1)] of a Poisson count c: a sum for small means, the Taylor series for large ones."""
    from scipy.special import gammaln

    small = mean[mean < 30]
    c = np.arange(90)
    terms = np.exp(-small[:, None] + c * np.log(np.maximum(small, 1e-300))[:, None] - gammaln(c + 1))
    result = np.empty_like(mean)
    result[mean < 30] = terms @ np.log2(c + 1.0)
    large = mean[mean >= 30] + 1
    result[mean >= 30] = np.log2(large) - (large - 1) / (2 * np.log(2) * large**2)
    return result


def _rows(X: ArrayLike) -> Floats:
    rows = np.asarray(X, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(NAMES):
        raise ValueError(f"X must be (n_rows, {len(NAMES)}), the columns of FEATURES; got shape {rows.shape}")
    return rows
