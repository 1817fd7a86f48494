"""Noise measured by a reference circuit, whose noiseless output is one known string.

XORed with that string, the counts of the reference sample the distribution E of flip patterns. Under Pauli noise, the
noisy distribution of a circuit with the same two-qubit gates is the XOR-convolution of its ideal output with E
(arXiv:2501.01953). Most of the 2^n patterns are never seen, so E is shrunk towards a smooth model fitted to it.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from qcluster.core.arrays import Floats, read_only
from qcluster.core.checks import check_whole
from qcluster.core.counts.bits import Bits, format_bitstrings, pack, parse_bitstrings, weight_of_ones
from qcluster.core.counts.distribution import Distribution, are_whole, check_shots, read_with_width
from qcluster.core.frozen import Frozen
from qcluster.core.noise.faults import GATE, FaultMasks
from qcluster.core.noise.kernel import Kernel, learn_rates
from qcluster.core.stats.walsh import LinearIndex, rounding_error, walsh
from qcluster.core.words import plural, short_repr

_LEAST_SHOTS_OF_MASK = 5.0
"""Shots from which a pattern may be the mask of a single fault, rather than of several faults at once."""
_MOST_MASKS = 4096
"""Largest number of such patterns."""
_ROUNDS = ((12, 80), (16, 40), (64, 12))
"""Largest number of index bits, and the rounds of expectation maximisation up to it."""
_UNEXPLAINED, _ROUNDED = 1e-7, 10.0
"""Floor of the probability of a pattern, as a multiple of the inverse root of the number of patterns, and of the
rounding error of a transform. No faults explain a pattern below either, and it would distort the learned rates."""
_LEAST = 1e-6
"""Floor of the Walsh components of E, whose logarithm is needed: those below shot noise are compatible with 0."""
_CLEAR_RATIO = 1.5
"""Least ratio of the shots of the expected string to those of any other string in a reliable reference."""
_FEW_SHOTS = 500.0
"""Number of shots below which a reference says little."""
_WIDEST = 20
"""Largest width at which every pattern has an index of its own by default: vectors of 2^n numbers are held."""
_CONCENTRATIONS = np.geomspace(1.0, 1e7, 57)
"""Weights A of the model that are tried, in shots."""


@dataclass(frozen=True, eq=False)
class MeasuredNoise(Frozen):
    """The noise that a reference circuit measured; pass it to `qcluster.mitigate` as `noise`.

    The reference must have the two-qubit gates of the circuit, on the same qubits of the same machine, and the same
    twirling; `qcluster.reference_circuit` makes one. The probability of a flip pattern y is estimated as
    ``(N(y) + A Q(y)) / (N + A)``. Here N(y) of the N shots have the pattern. Q is the compound Poisson model of
    independent faults (every single flip, and every pattern that was read at least five times) of largest likelihood.
    A is the weight that best predicts each shot from the others (leave-one-out likelihood). A pattern that was never
    read thus gets the probability of the faults that combine to it.

    Raises:
        ValueError: the widths differ, there are no shots, or the counts are probabilities; or `expected` is missing, or
            is not that of the `Run.reference` given.
        TypeError: `expected` is not a string of bits, or `reference_counts` cannot be read as counts or is a
            `Mitigation`, whose noise has been removed.

    Example:
        >>> noise = MeasuredNoise({"01": 900, "00": 60, "11": 38, "10": 2}, "01")
        >>> noise.survival, noise.flips.round(3).tolist(), noise.doubts
        (0.9, [0.062, 0.04], ())
    """

    reference_counts: Distribution
    """Raw counts of the reference circuit, as anything that `Distribution.of` takes. Integer and hexadecimal keys are
    read with the width of `expected`. A `Run.reference` may be given too. If it has several parts, their flips are
    pooled, so that the result equals its `noise`."""
    expected: str = ""
    """Noiseless output of the reference, such as ``"0110"``, or ``(n_bits,) bool``: entry j is classical bit j. It
    may be omitted for a `Run.reference`, which has it."""

    if TYPE_CHECKING:  # the fields are what these arguments are read as

        def __init__(self, reference_counts: Any, expected: str | Bits = "") -> None: ...

    def __post_init__(self) -> None:
        pooled = getattr(self.reference_counts, "noise", None)
        if isinstance(pooled, MeasuredNoise):  # a MeasuredReference: its own counts are only those of its first part
            if isinstance(self.expected, str) and not self.expected:
                object.__setattr__(self, "expected", pooled.expected)
            object.__setattr__(self, "reference_counts", pooled.reference_counts)
        bits = _bits_of(self.expected)
        if hasattr(self.reference_counts, "distribution") and hasattr(self.reference_counts, "raw"):
            kind = type(self.reference_counts).__name__
            raise TypeError(f"reference_counts must be raw counts; got a {kind}: give its raw")
        counts = read_with_width(self.reference_counts, len(bits))
        if not counts.n_outcomes:
            raise ValueError("reference_counts must hold at least one shot; got none")
        check_shots(counts, "reference_counts")
        if len(bits) != counts.n_bits:
            width = plural(counts.n_bits, "bit")
            raise ValueError(f"expected must have the width of the reference's counts, {width}; got {len(bits)}")
        object.__setattr__(self, "reference_counts", counts)
        object.__setattr__(self, "expected", format_bitstrings(bits[None])[0])
        if isinstance(pooled, MeasuredNoise) and self.expected != pooled.expected:
            raise ValueError(
                f"expected must be what the reference reads without noise, {pooled.expected!r}, and may be omitted; "
                f"got {self.expected!r}"
            )

    @property
    def n_bits(self) -> int:
        """Number of classical bits."""
        return self.reference_counts.n_bits

    @property
    def shots(self) -> float:
        """Number of shots of the reference."""
        return self.reference_counts.shots

    @cached_property
    def patterns(self) -> Distribution:
        """Counts of the flip patterns: the reference's counts XORed with the expected string."""
        counts = self.reference_counts
        return Distribution(counts.bits ^ parse_bitstrings([self.expected])[0], counts.weights)

    @cached_property
    def survival(self) -> float:
        """Share of the shots that read the expected string."""
        unflipped = ~self.patterns.words.any(axis=1)
        return float(self.patterns.weights[unflipped].sum() / self.shots)

    @cached_property
    def flips(self) -> Floats:
        """``(n_bits,)``, share of the shots in which each bit was flipped; read-only."""
        return read_only(weight_of_ones(self.patterns.bits, self.patterns.probabilities))

    @property
    def rates(self) -> Floats:
        """``(n_bits, 2)``, flip rates: `flips` for both 0 and 1, which a reference cannot tell apart."""
        return np.repeat(self.flips[:, None], 2, axis=1)

    @cached_property
    def _rival(self) -> tuple[str, float]:
        """The most frequent string other than the expected one, and its shots."""
        counts = self.reference_counts
        rows = np.argsort(-counts.weights, kind="stable")[:2]
        top_two = zip(format_bitstrings(counts.bits[rows]), counts.weights[rows].tolist(), strict=True)
        return next((pair for pair in top_two if pair[0] != self.expected), ("", 0.0))

    @cached_property
    def refusal(self) -> str:
        """Why these cannot be the counts of a reference, in words: beyond shot noise, a string other than the expected
        one is the most frequent. Empty if they can."""
        rival, rival_shots = self._rival
        expected_shots = self.survival * self.shots
        if expected_shots and rival_shots - expected_shots <= 3 * np.sqrt(rival_shots + expected_shots):
            return ""
        return (
            f"the expected string must be the reference's most frequent; {self.expected!r} has {expected_shots:.12g} "
            f"of {plural(self.shots, 'shot')}, {rival!r} has {rival_shots:.12g}: is it written with classical bit 0 "
            "rightmost, and of this reference?"
        )

    @property
    def clear(self) -> bool:
        """Whether the expected string stands out. If not, the reference says little about the noise."""
        return self.survival * self.shots >= _CLEAR_RATIO * self._rival[1]

    @cached_property
    def doubts(self) -> tuple[str, ...]:
        """Reasons not to rely on this reference, in words; empty if there are none."""
        doubts = []
        rival, rival_shots = self._rival
        if not self.clear:
            doubts.append(
                f"the reference reads its expected string in {self.survival:.1%} of the shots, which is no clear "
                f"maximum ({rival!r} has {rival_shots / self.shots:.1%})"
            )
        if self.shots < _FEW_SHOTS:
            doubts.append(f"the reference has only {plural(self.shots, 'shot')}")
        if not are_whole(self.reference_counts.weights):
            doubts.append("the reference's counts are not whole numbers: are they raw, not mitigated?")
        return tuple(doubts)

    def kernel(self, n_index: int = _WIDEST) -> Kernel:
        """Return the smoothed E as a kernel, for Richardson-Lucy deconvolution or for fits of a few strings.

        It has the form of a compound Poisson law over all patterns. The rates are the inverse Walsh transform of
        ``ln E^`` and may be negative; multiples of the noise are powers of E^.

        Args:
            n_index: strings wider than this are hashed (see `qcluster.core.stats.walsh`); at least 1.

        Returns:
            Kernel. Cost: a hundred transforms of ``2^n_index`` numbers: milliseconds for 10 bits, 5 s for 20.
        """
        index = LinearIndex(self.n_bits, check_whole("n_index", n_index, 1))
        return kernel_of(index, index.vector(self.patterns.words, self.patterns.weights))

    def faults(self) -> FaultMasks:
        """Return the faults of a circuit, all patterns with a rate, that explain the smoothed E best; up to 20 bits.

        Rates of `kernel` below 0, which E has under much noise or from few shots, cannot be those of faults. The rates
        are those of largest likelihood, by expectation maximisation from the positive ones, scaled to the expected
        number of faults of E.

        Raises:
            ValueError: there are more than 20 bits.

        Example:
            >>> faults = MeasuredNoise({"01": 900, "00": 60, "11": 38, "10": 2}, "01").faults()
            >>> faults.masks.ravel().tolist(), faults.rates.round(2).tolist(), faults.measured
            ([1, 2, 3], [0.07, 0.04, 0.0], True)
        """
        if self.n_bits > _WIDEST:
            raise ValueError(f"faults are those of at most {_WIDEST} bits; got {self.n_bits}")
        kernel = self.kernel()
        positive = np.maximum(kernel.rates, 0.0)
        positive *= max(float(kernel.rates.sum()), 0.0) / max(float(positive.sum()), 1e-300)
        seen = self.shots * np.maximum(kernel.patterns, 0.0)
        rates = _most_likely(replace(kernel, rates=positive), seen).rates
        (masks,) = np.nonzero(rates)
        kind, readout = np.full(len(masks), GATE, dtype=np.uint8), np.zeros((self.n_bits, 2))
        return FaultMasks(self.n_bits, masks.astype(np.uint64)[:, None], rates[masks], kind, readout, measured=True)


def shift_expected(counts: Distribution, expected: str, wanted: str) -> Distribution:
    """Move the counts of a reference to another expected string, keeping the flips, so that references can be pooled.

    Example:
        >>> shift_expected(Distribution.of({"01": 9, "00": 1}), "01", "11").to_counts()
        {'10': 1, '11': 9}
    """
    moved = np.logical_xor(*parse_bitstrings([expected, wanted]))
    return Distribution(counts.bits ^ moved, counts.weights)


def kernel_of(index: LinearIndex, seen: Floats) -> Kernel:
    """Smooth the counts of flip patterns, ``(2^m,)`` shots of each index, as described in `MeasuredNoise`."""
    model = _model(index, seen)
    weight = _weight(seen, model)
    spectrum = np.maximum(walsh((seen + weight * model) / (seen.sum() + weight)), _LEAST)
    rates = walsh(np.log(spectrum / spectrum[0])) / len(spectrum)
    rates[0] = 0.0
    return Kernel.of_patterns(index, np.arange(len(spectrum)), rates)


def _model(index: LinearIndex, seen: Floats) -> Floats:
    """Fit the model of independent faults; return the probability of each index, ``(2^m,)``."""
    size = index.size
    singles = index.of(pack(np.eye(index.n_bits, dtype=bool)))
    frequent = np.argsort(-seen, kind="stable")[: _MOST_MASKS + 1]
    shifts = np.unique(np.r_[singles, frequent[seen[frequent] >= _LEAST_SHOTS_OF_MASK]])
    shifts = shifts[shifts != 0]
    rates = np.maximum(seen[shifts], 0.5) / max(float(seen[0]), 1.0)
    fitted = _most_likely(Kernel.of_patterns(index, shifts, rates), seen)
    floor = 1e-3 / (float(seen.sum()) * size)  # a pattern that was never read is not impossible
    model = fitted.patterns + floor
    return np.asarray(model / model.sum())


def _most_likely(start: Kernel, seen: Floats) -> Kernel:
    """Fit rates of independent faults to the counts of flip patterns, ``(2^m,)``, by expectation maximisation."""
    sent = np.zeros(start.size)
    sent[0] = 1.0
    sent[1:] = max(_UNEXPLAINED / np.sqrt(start.size), _ROUNDED * float(rounding_error(sent)[0]))
    rounds = next(rounds for widest, rounds in _ROUNDS if start.index.n_index <= widest)
    return learn_rates(start, start, seen, sent, strength=0.0, steps=rounds)


def _weight(seen: Floats, model: Floats) -> float:
    """Choose the weight A by the leave-one-out likelihood ``sum N(y) ln((N(y) - 1 + A Q(y)) / (N - 1 + A))``."""
    observed = seen > 0
    shots, counts, expected = float(seen.sum()), seen[observed], model[observed]
    others = np.maximum(counts - 1, 0.0)
    scores = [counts @ np.log((others + a * expected) / max(shots - 1 + a, 1e-9)) for a in _CONCENTRATIONS]
    return float(_CONCENTRATIONS[int(np.argmax(scores))])


def _bits_of(expected: Any) -> Bits:
    if isinstance(expected, str):
        text = expected.replace(" ", "")
        if not text or set(text) - {"0", "1"}:
            raise ValueError(f"expected must be a string of 0 and 1, such as '0110'; got {short_repr(expected)}")
        return np.asarray(parse_bitstrings([text])[0])
    if isinstance(expected, np.ndarray) and expected.dtype == np.bool_ and expected.ndim == 1 and len(expected):
        return expected
    raise TypeError(f"expected must be a string of 0 and 1, or (n_bits,) bool; got {short_repr(expected)}")
