"""M3, matrix-free measurement mitigation: the mthree library itself (readout errors only)."""

import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from qcluster.baselines.door import enter
from qcluster.core.arithmetic import default_errstate
from qcluster.core.arrays import Floats
from qcluster.core.checks import check_whole, real_array
from qcluster.core.counts.bits import format_bitstrings
from qcluster.core.counts.distribution import Distribution
from qcluster.core.words import short_repr
from qcluster.errors import requiring_extra

_SINGULAR = 1e-6
"""Least distance from 1 of the sum of a bit's readout errors: mthree inverts them in single precision."""


@default_errstate
def m3(counts: Any, readout: ArrayLike, *, distance: int | None = None) -> Distribution:
    """Undo readout errors with mthree and return the nearest probability distribution.

    Source: Nation et al., PRX Quantum 2, 040326 (2021). M3 inverts the readout channel on the observed strings. Its
    quasi-probabilities can be negative; they are replaced by the nearest probability distribution.

    Args:
        counts: anything that `Distribution.of` takes.
        readout: ``(n,)`` or ``(n, 2)``, readout errors of each classical bit, ``P(read 1|0), P(read 0|1)``; from a
            calibration or `measure_readout`.
        distance: largest Hamming distance between strings that M3 couples; None is its default, min(n, 3).

    Returns:
        A distribution with the same number of shots, on (some of) the same strings.

    Raises:
        ValueError: readout has the wrong shape, a value outside [0, 1], or errors that cannot be inverted; or distance
            is negative.
        TypeError: readout is not numbers.
        MissingExtra: mthree is not installed (it comes with the extra ``bench``).

    Example:
        >>> fixed = m3({"0": 90, "1": 10}, [0.1])
        >>> round(fixed.to_probs()["0"], 4)
        1.0
    """
    if distance is not None:
        distance = check_whole("distance", distance, 0)
    observed = Distribution.of(counts)
    rates = _both_ways(readout, observed.n_bits)
    if not observed.n_outcomes or not observed.n_bits:
        return observed
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # a singular matrix is refused below
        nearest = quasi_probabilities(observed, rates, distance).nearest_probability_distribution()
    shares = np.maximum(0.0, [float(nearest.get(text, 0.0)) for text in format_bitstrings(observed.bits)])
    if not 0 < shares.sum() < np.inf:
        bit = int(np.argmin(np.abs(1 - rates.sum(axis=1))))
        raise ValueError(
            "readout errors must be far enough from 1/2, and strings short enough, for mthree to invert them in single "
            f"precision; got {tuple(rates[bit].tolist())} for bit {bit} of {observed.n_bits}"
        )
    return Distribution(observed.bits, shares * (observed.shots / shares.sum()))


def quasi_probabilities(observed: Distribution, rates: Floats, distance: int | None = None) -> Any:
    """Return mthree's quasi-probabilities, which can be negative, for readout errors ``(n, 2)``."""
    with requiring_extra("bench"):
        import mthree

    mitigator = mthree.M3Mitigation()
    mitigator.cals_from_matrices([np.array([[1 - up, down], [up, 1 - down]], dtype=np.float32) for up, down in rates])
    texts = format_bitstrings(observed.bits)
    weighed = dict(zip(texts, observed.weights.tolist(), strict=True))
    return mitigator.apply_correction(weighed, list(range(observed.n_bits)), distance=distance)


@default_errstate
def measure_readout(backend: Any, qubits: Sequence[int], *, shots: int = 10_000) -> Floats:
    """Measure readout errors with mthree's calibration circuits, as an M3 user does.

    Args:
        backend: a backend that runs circuits, real or simulated.
        qubits: the physical qubit measured into each classical bit.
        shots: shots of each calibration circuit.

    Returns:
        ``(n, 2)``: ``P(read 1|0), P(read 0|1)`` of each classical bit.

    Raises:
        ValueError: qubits is empty, or contains one that the backend does not have.
        TypeError: backend is not a Qiskit backend.
        MissingExtra: mthree is not installed (it comes with the extra ``bench``).
    """
    check_whole("shots", shots, 1)
    if not hasattr(backend, "target"):
        raise TypeError(f"backend must be a Qiskit backend; got {type(backend).__name__}")
    if not len(qubits):
        raise ValueError("there must be a qubit to measure; got none")
    wrong = [qubit for qubit in qubits if not isinstance(qubit, Integral) or not 0 <= qubit < backend.num_qubits]
    if wrong:
        raise ValueError(f"qubits must lie in 0..{backend.num_qubits - 1}; got {wrong[0]}")
    with requiring_extra("bench"):
        import mthree

    mitigator = mthree.M3Mitigation(backend)
    mitigator.cals_from_system(list(qubits), shots=shots, async_cal=False)
    matrices = [mitigator.single_qubit_cals[qubit] for qubit in qubits]
    return np.array([[matrix[1, 0], matrix[0, 1]] for matrix in matrices], dtype=np.float64)


def _both_ways(readout: ArrayLike, n_bits: int) -> Floats:
    try:
        rates = real_array("readout errors", readout)
    except OverflowError:
        raise ValueError(f"readout errors must lie in [0, 1]; got {short_repr(readout)}") from None
    if rates.shape == (n_bits,):
        rates = np.repeat(rates[:, None], 2, axis=1)
    if rates.shape != (n_bits, 2):
        raise ValueError(f"readout must have shape ({n_bits},) or ({n_bits}, 2); got {rates.shape}")
    if not ((rates >= 0) & (rates <= 1)).all():
        raise ValueError(f"readout errors must lie in [0, 1]; got {rates[~((rates >= 0) & (rates <= 1))][0]}")
    singular = np.abs(1 - rates.sum(axis=1)) < _SINGULAR
    if singular.any():
        bit = int(np.flatnonzero(singular)[0])
        raise ValueError(
            "the two readout errors of a bit must not sum to 1, since readout then gives no information; got "
            f"{tuple(rates[bit].tolist())} for bit {bit}"
        )
    return rates


enter(
    "m3",
    "M3: inverts readout errors with the mthree library; the flip rates are the readout errors.",
    m3,
    needs="rates",
)
