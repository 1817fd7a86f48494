"""Error figures of a compiled circuit from a calibration, as M3, Q-BEEP and the published method need them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qcluster.core.arrays import Floats


@dataclass(frozen=True, eq=False)
class Faults:
    """Error figures of one compiled circuit under one calibration."""

    readout: Floats
    """``(n_bits, 2)``: P(read 1|0), P(read 0|1)."""
    expected: float
    """Mean number of faults in a shot: gate errors, readout errors, and decay while idle."""
    rate: float
    """Effective flip rate of a bit, in closed form."""
    bit_errors: float
    """Mean number of flipped bits in a shot by the formula of Q-BEEP."""


def circuit_faults(profile: Any, calibration: Any) -> Faults:
    """Add up the errors of a compiled circuit.

    Expected faults: ``sum of gate errors + sum of mean readout errors + sum over qubits of idle (1/T1 + 1/T2) / 2``.
    The rate is that at which n independent bits have no flip as often as the run is right, if a run with a fault gives
    a uniformly random string: with r = exp(-expected) it is ``1 - (r + (1 - r) 2^-n)^(1/n)``.

    Q-BEEP's mean accounts for idle time only by two terms that are small unless the circuit lasts about as long as
    T1 and T2: ``sum of gate errors + sum of mean readout errors + n (exp(-T1 / t) + exp(-T2 / t))``, with the mean T1
    and T2 of the used qubits and the duration t of the circuit. This is the formula of its authors' program. It also
    suits their method better: idle faults are mostly phase errors, which flip no bit of a GHZ state.

    n is the number of bits with a measurement. A gate that is published as dead (error 1), or not at all, counts as the
    machine's median gate.

    Args:
        profile: a `Profile` of the compiled circuit.
        calibration: a `Calibration` of the machine.
    """
    readout = calibration.readout_of(profile.measured)
    n_read = int((profile.measured >= 0).sum())  # a bit without a measurement never flips
    medians = {1: median_error(calibration.errors_1q), 2: median_error(calibration.errors_2q)}
    gates = sum(
        count * _or_median(calibration.error(name, qubits), medians.get(len(qubits), 0.0))
        for (name, qubits), count in profile.gates.items()
    )
    used = slice(len(profile.idle))
    waiting = profile.idle * (_inverse(calibration.t1[used]) + _inverse(calibration.t2[used])) / 2
    gates_and_readout = float(gates + readout.mean(axis=1).sum())
    expected = gates_and_readout + float(waiting.sum())
    decayed = sum(_decayed(times[profile.active], profile.duration) for times in (calibration.t1, calibration.t2))
    return Faults(readout, expected, effective_rate(expected, n_read), gates_and_readout + n_read * decayed)


_FACTORS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Floats]] = {
    "high": lambda rng, shape: np.full(shape, 3.0),
    "low": lambda rng, shape: np.full(shape, 1 / 3),
    "scattered": lambda rng, shape: rng.lognormal(0, 1, shape),
}
MISREPORTS = tuple(_FACTORS)
"""Ways in which a calibration can be wrong: every error three times too large, three times too small, or multiplied by
its own lognormal factor of width 1."""

_LIMITS = {"readout": 0.49, "errors_1q": 0.5, "errors_2q": 0.9}
"""Largest errors that a factor may lead to."""


def misreport(calibration: Any, how: str, seed: int) -> Any:
    """Falsify a calibration in one of the ways of `MISREPORTS`; T1 and T2 shrink as errors grow.

    Args:
        calibration: a `Calibration` of the machine.
        how: one of `MISREPORTS`.
        seed: seed of the factors.

    Raises:
        ValueError: `how` is not one of `MISREPORTS`.
    """
    if how not in _FACTORS:
        raise ValueError(f"a calibration can be wrong in the ways {', '.join(MISREPORTS)}; got {how!r}")
    rng = np.random.default_rng(seed)

    def scaled(values: Floats) -> Floats:
        return values * _FACTORS[how](rng, values.shape)

    errors = {name: getattr(calibration, name) for name in _LIMITS}
    wrong = {
        name: np.where(old < _LIMITS[name], np.minimum(scaled(old), _LIMITS[name]), old) for name, old in errors.items()
    }
    t1 = calibration.t1 / _FACTORS[how](rng, calibration.t1.shape)
    t2 = np.minimum(calibration.t2 / _FACTORS[how](rng, calibration.t2.shape), 2 * t1)
    return replace(calibration, t1=t1, t2=t2, **wrong)


def effective_rate(expected: float, n_bits: int) -> float:
    """Convert an expected number of faults to a flip rate per bit, below one half; see `circuit_faults`.

    Example:
        >>> round(effective_rate(0.5, 5), 4)
        0.0915
    """
    if not n_bits:
        return 0.0
    right = np.exp(-expected)
    return float(min(0.499, 1 - (right + (1 - right) * 2.0**-n_bits) ** (1 / n_bits)))


def median_error(errors: Floats) -> float:
    """Return the median of the published errors below 1; 0 if there are none."""
    alive = errors[np.isfinite(errors) & (errors < 1)]
    return float(np.median(alive)) if alive.size else 0.0


def _or_median(value: float, median: float) -> float:
    return float(value) if value < 1 else median


def _decayed(times: Floats, duration: float) -> float:
    """Return exp(-T / t) for the mean T of the known times; 0 if no time is known or the duration is 0."""
    known = times[np.isfinite(times) & (times > 0)]
    return float(np.exp(-known.mean() / duration)) if known.size and duration else 0.0


def _inverse(times: Floats) -> Floats:
    return np.divide(1.0, times, out=np.zeros_like(times), where=np.isfinite(times) & (times > 0))
