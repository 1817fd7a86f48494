"""What the guard is asked with and what it answers: the sparse mixture it judges, its constants, its verdict."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qcluster.core.bits import Bits
from qcluster.core.blend import Blend

Floats = NDArray[np.float64]


class Sparse(Protocol):
    """What the guard asks of a sparse mixture (`qcluster.core.mixture`)."""

    @property
    def centroids(self) -> Bits:
        """``(k, n_bits) bool``."""

    @property
    def weights(self) -> Floats:
        """``(k,)``, sum 1."""

    @property
    def background(self) -> float:
        """Share of uniform noise."""

    @property
    def log_likelihood(self) -> float:
        """Of all shots, natural."""

    @property
    def agreement(self) -> float:
        """Cosine between counts and model, the uniform part taken from both."""

    @property
    def excess(self) -> float:
        """Standard deviations by which collisions between shots exceed those of uniform noise."""

    @property
    def gap(self) -> float:
        """How clear the number of strings is: factor by which the likelihood gain drops behind it."""

    @property
    def rates(self) -> Floats:
        """``(n_bits, 2)`` P(read 1|0), P(read 0|1)."""

    @property
    def flip_rate(self) -> float:
        """Flips per bit of an average shot."""

    @property
    def simple(self) -> bool:
        """Independent flips at one rate for all bits explain the counts."""

    @property
    def ring(self) -> bool:
        """The strings are a ring around a centre."""

    @property
    def perplexity(self) -> float:
        """Effective number of distinct strings in the counts."""


@dataclass(frozen=True)
class GuardSettings:
    """Constants of the guard, each with a physical meaning."""

    flips: tuple[float, ...] = (0.0, 0.02, 0.04, 0.07, 0.11, 0.15, 0.2, 0.26, 0.33)
    """Flip rates that are tried."""
    strings: tuple[float, ...] = (1.0,)
    """Sparse hypotheses: Dirichlet mass of the whole ideal, about the number of strings that matter."""
    densities: tuple[float, ...] = (0.1, 0.3, 1.0, 4.0)
    """Dense hypotheses: Dirichlet mass of every string; 1 is Porter-Thomas, 4 nearly uniform."""
    support: tuple[float, ...] = (5.0, 50.0)
    """The same for outputs too wide for the full vector: numbers of strings that matter."""
    drift: float = 0.03
    """Relative variance of a probability from run to run; 0.03 is what repeated runs on IBM hardware show."""
    doubt: float = 15.0
    """The evidence counts this many times less than the formula says: real errors are no independent flips."""
    telling: float = 500.0
    """Effective shots from which the evidence grows no further: what the channel does not know grows with them."""
    doubt_when_simple: float = 3.0
    """The same for a mixture whose independent flips at one rate leave nothing of the counts unexplained."""
    flat_odds: float = 0.2
    """Prior odds of an ideal flatter than Porter-Thomas against any other: circuits rarely end there."""
    typical: float = 0.03
    """Flips per bit expected of a machine that loses no shots, where no rates are known."""
    typical_when_lost: float = 0.12
    """The same of one that loses all: what scrambles many shots flips more bits of the others."""
    spread: float = 0.8
    """Spread of the logarithm of the flips expected."""
    blurred: float = 0.03
    """Odds, for each string beyond the first, that the ideal itself is smooth as flips would make it."""
    mostly_blurred: float = 1.0
    """Largest odds of that."""
    insured: float = 0.03
    """Share of the raw counts in any answer that rests on deconvolution."""
    insured_when_lost: float = 0.7
    """Further share where all shots are background; it falls with the cube of their part."""
    insured_when_good: float = 0.6
    """Further share when the raw counts are already near the answer: little to win, so little is risked."""
    clean: float = 0.97
    """Counts are left as they are when they show that at least this share of the shots is free of errors."""
    fewest_shots: float = 16.0
    """Counts with fewer shots are left as they are; weights are shots, not probabilities."""
    widest: int = 12
    """Most bits for which the full vector is deconvolved."""
    smallest_share: float = 0.1
    """Counts are left as they are when less than this of the answer would be mitigated."""


@dataclass(frozen=True)
class Guarded:
    """A safe answer, with the verdict."""

    bits: Bits
    """``(n_outcomes, n_bits) bool``."""
    weights: Floats
    """``(n_outcomes,)``, in shots, as many as the input has."""
    applied: bool
    """False: bits and weights are those of the input."""
    share: float
    """How much of the answer is mitigated, 0 to 1."""
    confidence: float
    """Probability, over all hypotheses, that the verdict is right: that the answer is nearer to the ideal than the
    counts are, or where nothing was applied, that nothing would have helped."""
    reason: str
    """One sentence."""
    blend: Blend | None = None
    """What the answer was blended from, where it was; None for the counts as they came, or the strings alone."""
