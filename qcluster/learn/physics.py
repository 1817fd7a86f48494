"""From features to physics: the few quantities on which the rate really depends, in rates like the target."""

from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from qcluster.core.arrays import Floats
from qcluster.core.checks import check_real
from qcluster.learn.features import NAMES, TYPICAL_ERROR, TYPICAL_READOUT

EULER = 0.5772
"""The largest of 2^m exponential variables is m ln 2 + this on the mean, in units of their mean."""

KERNEL = tuple(name for name in NAMES if name.startswith(("kernel_", "few_")))
"""What the circuit's kernel tells, see `qcluster.learn.kernels`; as it is."""

FAULT = ("fault_rate", "fault_entropy", "fault_peak", "fault_gain")
"""What the answer of `mitigate` under the circuit's faults tells."""

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
"""What the forests see."""

RISING = ("closed_form", "entropy_flip", "speckle_form", "answer_rate", "flat_form")
"""Columns in which the rate can only rise, other things equal: more failures, and flatter counts. The other statistics
of the counts are flat also where the ideal output is."""

BASE = "kernel_best"
"""Where it is known, the forests learn how far the rate is from it, and not the rate."""

RICH = ("n_measured", "entropy", "kernel_speckle", *KERNEL, *FAULT, "kernel_flat", BASE)
"""What is used where the kernel is known: with all columns the trees tell circuits apart rather than noise."""

SPARES = (
    *((name, "kernel_rate") for name in COLUMNS if name not in RICH),
    ("typical_form", "closed_form"),
    ("entropy", "entropy_flip"),
)
"""Columns that are used only where a better one is unknown: without a calibration, without fault patterns."""

STRATA = "answer_entropy", (0.3, 0.6)
"""Column and cuts of the strata in which intervals are learned where the kernel is not known: how spread the output
looks. Where it is known, the expected errors already hold for peaked and spread outputs alike."""

FLAT = 0.5, 0.7
"""Between these entropies of the answer (in units of the number of bits) an output turns from a few strings into a
speckle. Chosen, like `SHARPER`, with families of simulated circuits left out."""

SHARPER = 0.3, 0.02
"""The answer is taken at its word where its entropy is lower by this share, times the expected rate over 0.3 (at least
the second): a guard that leaves counts alone leaves a rate of nothing."""

LIKELY = 2.2
"""The most that is taken from an answer, in units of the closed form: of the simulated runs with drift 88 % stay below,
and an answer that asks for more is likely to be sharper than the output."""

TYPICAL = {
    "two_qubit": TYPICAL_ERROR[2],
    "sx": TYPICAL_ERROR[1],
    "x": TYPICAL_ERROR[1],
    "n_measured": TYPICAL_READOUT,
}
"""Loss of one gate or readout on a machine of which nothing is known."""


class PhysicalColumns(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn rows of `FEATURES` into a few physical quantities; NaN where a part is unknown.

    With L = -log(esp) + idling, r = exp(-L) and m measured bits:

    - closed_form: 1 - (r + (1-r) 2^-m)^(1/m), the rate if every failure scatters over all strings;
    - typical_form: the same from the gate counts alone, with the errors of `TYPICAL`: how hard the circuit is;
    - entropy_flip, collision_flip: the flip rate at which one string, flipped bit by bit, has this entropy (as
      expected from this many shots) or collision probability;
    - top_flip: 1 - top^(1/m); neighbour_flip: t / (t + m), t = weight at distance one over weight of the top string;
    - speckle_form: as closed_form, for an ideal output spread over all strings as that of a random circuit is;
    - flat_form: closed_form where the answer is a few strings, speckle_form where it is spread, between them else;
    - answer_peak, fault_peak: 1 - (largest probability of the answer)^(1/m); answer_gain, fault_gain: how much sharper
      the answer is than the counts, entropy less entropy;
    - kernel_speckle, kernel_flat: speckle_form and flat_form with the probability that no measured bit is flipped, from
      the circuit's kernel, and the answer under its faults;
    - kernel_best: the rate against the answer under the faults where this is sharper than the counts, else kernel_flat;
    - the others as they are.

    Args:
        idle_constant: where no schedule is known, idling is this times n_qubits x two_qubit: the loss of one qubit
            while one two-qubit gate runs.
        shots: taken where unknown.
    """

    def __init__(self, idle_constant: float = 0.004, shots: float = 8192.0) -> None:
        self.idle_constant = idle_constant
        self.shots = shots

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Check the parameters and the width; there is nothing to learn."""
        check_real("idle_constant", self.idle_constant, 0)
        check_real("shots", self.shots, 0, open_low=True)
        self.n_features_in_ = _rows(X).shape[1]
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Give ``(n_rows, len(COLUMNS))``."""
        column = dict(zip(NAMES, _rows(X).T, strict=True))
        m = column["n_measured"]
        waiting = self.idle_constant * column["n_qubits"] * column["two_qubit"]
        idle = np.where(np.isnan(column["idle_loss"]), waiting, column["idle_loss"])
        kept = np.clip(column["esp"], 1e-300, 1.0) * np.exp(-idle)
        shots = np.where(np.isnan(column["shots"]), self.shots, column["shots"])
        ratio = column["near_weight"] / column["top_weight"]
        typical = sum(loss * column[name] for name, loss in TYPICAL.items()) + waiting
        made = {
            "closed_form": closed_form(kept, m),
            "typical_form": closed_form(np.exp(-typical), m),
            "entropy_flip": entropy_flip(column["entropy"], m, shots),
            "n_measured": m,
            "neighbour_flip": ratio / (ratio + m),
            "collision_flip": 0.5 - 0.5 * np.sqrt(np.clip(2 * column["collision"] ** (1 / m) - 1, 0, 1)),
            "top_flip": 1 - column["top_weight"] ** (1 / m),
            "mean_distance": column["mean_distance"],
            "local_flip": column["local_flip"],
            "speckle_form": speckle_form(kept, m),
            "readout_mean": column["readout_mean"],
        }
        for name in ("answer", "fault"):
            made[f"{name}_rate"], made[f"{name}_entropy"] = column[f"{name}_rate"], column[f"{name}_entropy"]
            made[f"{name}_peak"] = 1 - column[f"{name}_top"] ** (1 / m)
            made[f"{name}_gain"] = column["entropy"] - column[f"{name}_entropy"]
        made["flat_form"] = _between(made["answer_entropy"], made["closed_form"], made["speckle_form"])
        made |= {name: column[name] for name in ("entropy", *KERNEL)}
        whole = (1 - column["kernel_flip"]) ** m
        made["kernel_speckle"], closed = speckle_form(whole, m), closed_form(whole, m)
        made["kernel_flat"] = _between(made["fault_entropy"], closed, made["kernel_speckle"])
        needed = SHARPER[0] * np.maximum(column["entropy"], 1e-9) * np.clip(made["kernel_flat"] / 0.3, SHARPER[1], 1)
        trust = np.clip(made["fault_gain"] / needed, 0, 1)
        found = np.minimum(made["fault_rate"], LIKELY * closed)
        made["kernel_best"] = trust * found + (1 - trust) * made["kernel_flat"]
        return np.column_stack([made[name] for name in COLUMNS])

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name the columns of `transform`."""
        return np.array(COLUMNS, dtype=object)


def _between(shape: Floats, peaked: Floats, spread: Floats) -> Floats:
    """Take one form or the other, by the entropy of an answer."""
    flat = np.clip((shape - FLAT[0]) / (FLAT[1] - FLAT[0]), 0, 1)
    return np.asarray((1 - flat) * peaked + flat * spread)


def closed_form(success: ArrayLike, n_measured: ArrayLike) -> Floats:
    """Give the rate if a run is right with this probability and else uniform over all strings."""
    r, m = np.asarray(success, dtype=np.float64), np.asarray(n_measured, dtype=np.float64)
    rate: Floats = 1 - (r + (1 - r) * 2.0**-m) ** (1 / m)
    return rate


def speckle_form(success: ArrayLike, n_measured: ArrayLike) -> Floats:
    """Give the rate as `closed_form` does where the ideal output is a speckle (Porter-Thomas), as of random circuits.

    Its brightest of 2^m strings has (m ln 2 + .58) 2^-m on the mean, of which uniform noise leaves 2^-m.
    """
    r, m = np.asarray(success, dtype=np.float64), np.asarray(n_measured, dtype=np.float64)
    rate: Floats = 1 - (r + (1 - r) / (m * np.log(2) + EULER)) ** (1 / m)
    return rate


def entropy_flip(entropy: Floats, n_measured: Floats, shots: Floats) -> Floats:
    """Find the flip rate at which one string has this normalised entropy, as expected from this many shots."""
    result = np.full(len(entropy), np.nan)
    for row in np.flatnonzero(~np.isnan(entropy + n_measured + shots)):
        m = int(n_measured[row])
        result[row] = np.interp(entropy[row] * m, _entropies(m, _rounded(shots[row])), _GRID)
    return result


_GRID = np.concatenate([[0.0], np.geomspace(1e-4, 0.5, 120)])


def _rounded(shots: float) -> float:
    """Round to a sixteenth of an octave, so that few curves are ever computed."""
    return float(2 ** (round(16 * np.log2(max(shots, 1.0))) / 16))


@lru_cache(maxsize=4096)
def _entropies(m: int, shots: float) -> Floats:
    """Expected entropy in bits of the counts of m independent bits, for each flip rate of the grid; rising.

    Strings at distance k share one probability p; their counts are nearly Poisson of mean a = shots x p. With
    E[-(c/N) log2(c/N)] = p x E[-log2((c+1)/N)] for such a count, since c Poisson(c) = a Poisson(c-1).
    """
    from scipy.special import gammaln

    k = np.arange(m + 1)
    q = np.clip(_GRID, 1e-12, None)[:, None]
    p = np.exp(k * np.log(q) + (m - k) * np.log1p(-q))
    many = np.exp(gammaln(m + 1) - gammaln(k + 1) - gammaln(m - k + 1))
    bits = np.maximum.accumulate((many * p * (np.log2(shots) - _mean_log2(shots * p))).sum(axis=1))
    return np.asarray(bits + 1e-12 * np.arange(len(bits)))


def _mean_log2(mean: Floats) -> Floats:
    """E[log2(c + 1)] of a Poisson count c: summed where it is small, by its Taylor series where it is large."""
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
