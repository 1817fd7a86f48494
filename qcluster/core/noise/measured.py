"""Noise that a reference circuit measured: the counts of a circuit whose noiseless output is one known string.

XORed with that string, the reference's counts are the distribution E of flip patterns, and under Pauli noise the counts
of a circuit of the same two-qubit gates are the XOR-convolution of its ideal output with E (arXiv:2501.01953). Most of
the 2^n patterns are never seen, so E is shrunk towards a smooth model of itself.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qcluster.core.arrays import Floats, read_only
from qcluster.core.counts.bits import Bits, format_bitstrings, pack, parse_bitstrings, weight_of_ones
from qcluster.core.counts.distribution import Distribution, are_probabilities, of_width
from qcluster.core.frozen import Frozen
from qcluster.core.noise.kernel import Kernel, learn_rates
from qcluster.core.stats.walsh import LinearIndex, rounding, walsh
from qcluster.core.words import many, shown

_EVIDENT = 5.0
"""Shots from which a pattern may be a fault of its own, not only several faults at once."""
_MASKS = 4096
"""Patterns at most that may be faults of their own."""
_ROUNDS = ((12, 80), (16, 40), (64, 12))
"""Rounds of expectation maximisation up to so many index bits."""
_UNEXPLAINED, _ROUNDED = 1e-7, 10.0
"""Least probability of a pattern times the root of their number, and in errors of a transform: a pattern below either
is explained by no faults, and would teach rates nonsense."""
_LEAST = 1e-6
"""Least Walsh component of E: what is below shot noise cannot be told from 0, and must have a logarithm."""
_CLEAR = 1.5
"""How many times as often as any other string the expected one is read by a reference that can be relied on."""
_FEW = 500.0
"""Shots below which a reference says little."""
_WIDEST = 20
"""Bits up to which patterns have numbers of their own unless asked for: 2^n numbers are held."""
_CONCENTRATIONS = np.geomspace(1.0, 1e7, 57)
"""Weights of the model that are tried, in shots."""


@dataclass(frozen=True, eq=False)
class MeasuredNoise(Frozen):
    """Hold what a reference circuit measured; `qcluster.mitigate` takes it as its noise.

    The reference must have the two-qubit gates of the circuit, at the same places of the same machine, and be twirled
    alike; `qcluster.reference_circuit` makes one. How often each pattern of flips occurs is estimated as
    ``(N(y) + A Q(y)) / (N + A)``: N(y) of the N shots have the pattern; Q is the compound Poisson model of independent
    faults (every single flip, and every pattern that was read five times) that is most likely; and A is the weight that
    best predicts each shot from the others (leave-one-out likelihood). A pattern that was never read has the
    probability of the faults that make it up.

    Raises:
        ValueError: the widths differ, or there are no shots, or probabilities.
        TypeError: `expected` is no string of bits, or `reference_counts` are no counts, or a `Mitigation`: without its
            noise a reference tells nothing.

    Example:
        >>> noise = MeasuredNoise({"01": 900, "00": 60, "11": 38, "10": 2}, "01")
        >>> noise.survival, noise.flips.round(3).tolist(), noise.doubts
        (0.9, [0.062, 0.04], ())
    """

    reference_counts: Distribution
    """Of the reference circuit; given as anything that `Distribution.of` takes. Integers and hexadecimal keys have as
    many bits as `expected`."""
    expected: str
    """What it reads without noise, such as ``"0110"``; given so, or as ``(n_bits,) bool``, column j classical bit j."""

    def __post_init__(self) -> None:
        bits = _bits_of(self.expected)
        if hasattr(self.reference_counts, "distribution") and hasattr(self.reference_counts, "raw"):
            kind = type(self.reference_counts).__name__
            raise TypeError(f"reference_counts must be as they were read; got a {kind}: give its raw")
        counts = of_width(self.reference_counts, len(bits))
        if not counts.n_outcomes or not counts.shots:
            raise ValueError("reference_counts must hold at least one shot; got none")
        if are_probabilities(counts):
            raise ValueError(
                "reference_counts must be counts of shots; got weights that sum to 1, as probabilities do: multiply "
                "them by the shots they come from"
            )
        if len(bits) != counts.n_bits:
            raise ValueError(
                f"expected must have the width of the reference's counts, {many(counts.n_bits, 'bit')}; got {len(bits)}"
            )
        object.__setattr__(self, "reference_counts", counts)
        object.__setattr__(self, "expected", format_bitstrings(bits[None])[0])

    @property
    def n_bits(self) -> int:
        """Number of classical bits."""
        return self.reference_counts.n_bits

    @property
    def shots(self) -> float:
        """Shots of the reference."""
        return self.reference_counts.shots

    @cached_property
    def patterns(self) -> Distribution:
        """Which bits were flipped, and how often: the counts XORed with the expected string."""
        counts = self.reference_counts
        return Distribution(counts.bits ^ parse_bitstrings([self.expected])[0], counts.weights)

    @cached_property
    def survival(self) -> float:
        """Share of the shots that read the expected string."""
        still = ~self.patterns.words.any(axis=1)
        return float(self.patterns.weights[still].sum() / self.shots)

    @cached_property
    def flips(self) -> Floats:
        """``(n_bits,)`` how often each bit was flipped; read-only."""
        return read_only(weight_of_ones(self.patterns.bits, self.patterns.probabilities))

    @property
    def rates(self) -> Floats:
        """``(n_bits, 2)`` flip rates: `flips` for either value, since the reference tells no difference."""
        return np.repeat(self.flips[:, None], 2, axis=1)

    @cached_property
    def _rival(self) -> tuple[str, float]:
        """The most frequent string but the expected one, and its shots."""
        counts = self.reference_counts
        rows = np.argsort(-counts.weights, kind="stable")[:2]
        first = zip(format_bitstrings(counts.bits[rows]), counts.weights[rows].tolist(), strict=True)
        return next((pair for pair in first if pair[0] != self.expected), ("", 0.0))

    @cached_property
    def refusal(self) -> str:
        """Why this cannot be a reference's counts, in words: another string than the expected one is, beyond shot
        noise, the most frequent. Empty where it can."""
        text, most = self._rival
        mine = self.survival * self.shots
        if mine and most - mine <= 3 * np.sqrt(most + mine):
            return ""
        return (
            f"the expected string must be the reference's most frequent; {self.expected!r} has {mine:.12g} of "
            f"{many(self.shots, 'shot')}, {text!r} has {most:.12g}: is it written with classical bit 0 rightmost, and "
            "of this reference?"
        )

    @property
    def clear(self) -> bool:
        """Whether the expected string stands out: one that does not is drowned in noise, and tells little of it."""
        return self.survival * self.shots >= _CLEAR * self._rival[1]

    @cached_property
    def doubts(self) -> tuple[str, ...]:
        """What speaks against relying on this reference, in words; nothing where nothing does."""
        found = []
        text, most = self._rival
        if not self.clear:
            found.append(
                f"the reference reads its expected string in {self.survival:.1%} of the shots, which is no clear "
                f"maximum ({text!r} has {most / self.shots:.1%})"
            )
        if self.shots < _FEW:
            found.append(f"{many(self.shots, 'shot')} of the reference {'is' if self.shots == 1 else 'are'} few")
        weights = self.reference_counts.weights
        if not np.allclose(weights, np.round(weights), rtol=1e-9, atol=1e-9):
            found.append("the reference's counts are no whole numbers: are they as they were read, not mitigated?")
        return tuple(found)

    def kernel(self, n_index: int = _WIDEST) -> Kernel:
        """Give the smoothed E as a kernel, under which `qcluster.core.dense.richardson_lucy` and few strings work.

        It is written as a compound Poisson law of all patterns, whose rates are the inverse Walsh transform of
        ``ln E^`` and may be negative; multiples of the noise are powers of E^.

        Args:
            n_index: strings wider than this are hashed (see `qcluster.core.stats.walsh`).

        Returns:
            Kernel. Cost: a hundred transforms of ``2^n_index`` numbers: milliseconds for 10 bits, 5 s for 20.
        """
        index = LinearIndex(self.n_bits, n_index)
        return kernel_of(index, index.vector(self.patterns.words, self.patterns.weights))


def as_expecting(counts: Distribution, expected: str, wanted: str) -> Distribution:
    """Give the counts of a reference with its flips on top of another expected string, so that several add up.

    Example:
        >>> as_expecting(Distribution.of({"01": 9, "00": 1}), "01", "11").to_counts()
        {'10': 1, '11': 9}
    """
    moved = np.logical_xor(*parse_bitstrings([expected, wanted]))
    return Distribution(counts.bits ^ moved, counts.weights)


def kernel_of(index: LinearIndex, seen: Floats) -> Kernel:
    """Smooth counted patterns as `MeasuredNoise` says.

    Args:
        index: numbers of the patterns.
        seen: ``(2^m,)`` shots of each number.
    """
    model = _model(index, seen)
    weight = _weight(seen, model)
    spectrum = np.maximum(walsh((seen + weight * model) / (seen.sum() + weight)), _LEAST)
    rates = walsh(np.log(spectrum / spectrum[0])) / len(spectrum)
    rates[0] = 0.0
    return Kernel.of_patterns(index, np.arange(len(spectrum)), rates)


def _model(index: LinearIndex, seen: Floats) -> Floats:
    """Fit independent faults to the patterns; probability of each number, ``(2^m,)``."""
    size = index.size
    singles = index.of(pack(np.eye(index.n_bits, dtype=bool)))
    often = np.argsort(-seen, kind="stable")[: _MASKS + 1]
    shifts = np.unique(np.r_[singles, often[seen[often] >= _EVIDENT]])
    shifts = shifts[shifts != 0]
    first = np.maximum(seen[shifts], 0.5) / max(float(seen[0]), 1.0)
    start = Kernel.of_patterns(index, shifts, first)
    sent = np.zeros(size)
    sent[0] = 1.0
    sent[1:] = max(_UNEXPLAINED / np.sqrt(size), _ROUNDED * float(rounding(sent)[0]))
    rounds = next(rounds for most, rounds in _ROUNDS if index.n_index <= most)
    fitted = learn_rates(start, start, seen, sent, strength=0.0, steps=rounds)
    floor = 1e-3 / (float(seen.sum()) * size)  # something new is never impossible
    model = fitted.patterns + floor
    return np.asarray(model / model.sum())


def _weight(seen: Floats, model: Floats) -> float:
    """Choose the model's weight A by the leave-one-out likelihood ``sum N ln((N - 1 + A Q) / (N_all - 1 + A))``."""
    read = seen > 0
    shots, counts, expected = float(seen.sum()), seen[read], model[read]
    others = np.maximum(counts - 1, 0.0)
    scores = [
        float(counts @ np.log((others + a * expected) / max(shots - 1 + a, 1e-9))) for a in _CONCENTRATIONS
    ]  # fmt: skip
    return float(_CONCENTRATIONS[int(np.argmax(scores))])


def _bits_of(expected: Any) -> Bits:
    if isinstance(expected, str):
        text = expected.replace(" ", "")
        if not text or set(text) - {"0", "1"}:
            raise ValueError(f"expected must be a string of 0 and 1, such as '0110'; got {shown(expected)}")
        return np.asarray(parse_bitstrings([text])[0])
    if isinstance(expected, np.ndarray) and expected.dtype == np.bool_ and expected.ndim == 1 and len(expected):
        return expected
    raise TypeError(f"expected must be a string of 0 and 1, or (n_bits,) bool; got {shown(expected)}")
