"""The features of a run, one row of numbers: the input of the rate model.

There are four sources, each of which may be missing: the compiled circuit (a Profile), the machine (a Calibration), the
counts, and the patterns of bits that the circuit's faults flip (FaultMasks). No feature uses the ideal distribution; it
is replaced by estimates from `mitigate` and from the circuit's noise kernel. Unknown features are NaN, which the model
handles.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.core.counts.bits import pack, unpack
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.metrics import entropy
from qcluster.core.noise.faults import FaultMasks, merge_masks
from qcluster.learn.kernels import kernel_features
from qcluster.learn.label import plug_in_label

TYPICAL_ERROR = {1: 0.0003, 2: 0.01}
"""Error of a gate on one or two qubits where the machine publishes none for this kind of gate: round figures for
superconducting machines."""

TYPICAL_READOUT = 0.02
"""Readout error where the machine publishes none."""

UNLISTED = ("rz", "p", "u1", "reset")
"""Operations that are free if the machine lists no error for them: rotations about z, which only change the phase of
the following gates, and resets, which are not gates."""


@dataclass(frozen=True)
class Feature:
    """One feature: a column of the training table."""

    name: str
    """Name of the column."""
    unit: str
    """Unit; "1" for a pure number."""
    meaning: str
    """Description in one line."""


FEATURES = (
    Feature("n_qubits", "1", "qubits that carry a gate or a measurement"),
    Feature("n_measured", "1", "measured bits"),
    Feature("rz", "1", "rz gates"),
    Feature("sx", "1", "sx gates"),
    Feature("x", "1", "x gates"),
    Feature("two_qubit", "1", "gates on two or more qubits"),
    Feature("entropy", "1", "Shannon entropy of the noisy counts, divided by its largest value, n_measured bits"),
    Feature("esp", "1", "estimated success probability: gates, decay during gates, readout (arXiv:2504.10801)"),
    Feature("shots", "1", "shots behind the counts"),
    Feature("idle_loss", "1", "sum over qubits of idle time x (1/4T1 + 1/2T2): errors expected while idle"),
    Feature("two_qubit_depth", "1", "longest chain of gates on two or more qubits"),
    Feature("loss_1q", "1", "-log of the probability that no one-qubit gate fails"),
    Feature("loss_2q", "1", "-log of the probability that no two-qubit gate fails"),
    Feature("loss_readout", "1", "-log of the probability that no measured bit is misread"),
    Feature("readout_mean", "1", "mean readout error of the measured qubits; without a circuit, the machine's median"),
    Feature("readout_worst", "1", "largest readout error of the measured qubits"),
    Feature("local_flip", "1", "mean over measured bits of the flip rate from errors on that qubit alone"),
    Feature("top_weight", "1", "share of the shots on the most frequent string"),
    Feature("near_weight", "1", "share of the shots one bit away from the most frequent string"),
    Feature("mean_distance", "1", "mean Hamming distance to the most frequent string, divided by n_measured"),
    Feature("collision", "1", "probability that two shots are equal, unbiased"),
    Feature("answer_rate", "1", "effective rate of the counts against `mitigate(counts)` in place of the ideal output"),
    Feature("answer_entropy", "1", "entropy of that answer, divided by n_measured bits"),
    Feature("answer_top", "1", "largest probability of that answer"),
    Feature("faults", "1", "expected faults that flip a measured bit, from the circuit's fault patterns"),
    Feature("fault_flip", "1", "mean over measured bits of the flip rate from all fault patterns and readout"),
    Feature("fault_rate", "1", "effective rate of the counts against `mitigate(counts, faults)`"),
    Feature("fault_entropy", "1", "entropy of that answer, divided by n_measured bits"),
    Feature("fault_top", "1", "largest probability of that answer"),
    Feature("kernel_flip", "1", "effective rate of a single string, on average, under the circuit's noise kernel"),
    Feature("kernel_flip_2", "1", "the same at twice the noise"),
    Feature("kernel_loss", "1", "effective rate of the deconvolution when sent through the kernel again"),
    Feature("kernel_rate", "1", "effective rate of the counts against that deconvolution"),
    Feature("kernel_rate_2", "1", "the same at twice the noise"),
    Feature("kernel_rate_3", "1", "the same at three times the noise"),
    Feature("kernel_entropy", "1", "entropy of the deconvolution, divided by n_measured bits"),
    Feature("kernel_entropy_2", "1", "the same at twice the noise"),
    Feature("kernel_misfit_2", "1", "deviance per shot of the deconvolution at twice the noise, beyond shot noise"),
    Feature("few_rate", "1", "effective rate of the counts against a few strings estimated under the kernel"),
    Feature("few_rate_2", "1", "the same at twice the noise"),
    Feature("few_rate_3", "1", "the same at three times the noise"),
    Feature("few_loss", "1", "effective rate of these strings when sent through the kernel"),
    Feature("few_misfit", "1", "deviance per shot of these strings, beyond shot noise"),
    Feature("few_misfit_2", "1", "the same at twice the noise"),
    Feature("few_misfit_3", "1", "the same at three times the noise"),
    Feature("few_strings", "1", "logarithm of the number of these strings, divided by its largest value"),
    Feature("few_strings_2", "1", "the same at twice the noise"),
    Feature("few_uniform_2", "1", "uniform share fitted with these strings at twice the noise"),
)  # fmt: skip
"""All features, in the order of the columns. None uses the ideal distribution."""

NAMES = tuple(feature.name for feature in FEATURES)


class ProfileLike(Protocol):
    """The parts of a compiled circuit that features use; `qcluster.device.Profile` has them."""

    @property
    def measured(self) -> NDArray[np.int64]: ...
    @property
    def gates(self) -> Mapping[tuple[str, tuple[int, ...]], int]: ...
    @property
    def active(self) -> NDArray[np.int64]: ...
    @property
    def idle(self) -> NDArray[np.float64]: ...
    @property
    def two_qubit_depth(self) -> int: ...


class CalibrationLike(Protocol):
    """The parts of a calibration that features use; `qcluster.device.Calibration` has them."""

    @property
    def t1(self) -> NDArray[np.float64]: ...
    @property
    def t2(self) -> NDArray[np.float64]: ...
    @property
    def readout(self) -> NDArray[np.float64]: ...
    @property
    def couplings(self) -> NDArray[np.int64]: ...
    def error(self, gate: str, qubits: tuple[int, ...]) -> float: ...
    def duration(self, gate: str, qubits: tuple[int, ...]) -> float: ...


def features(
    profile: ProfileLike | None = None,
    calibration: CalibrationLike | None = None,
    counts: Any = None,
    faults: FaultMasks | None = None,
    *,
    alone: bool = True,
) -> Floats:
    """Describe a run as one row of the training table.

    Args:
        profile: the compiled circuit, or None.
        calibration: the machine, or None. A gate published with error 1 counts as fully depolarising, a readout with
            error 1 as a random bit. An unpublished figure is replaced by the median over the working ones of its kind.
        counts: anything that `Distribution.of` accepts, or None. Bits to which the profile assigns no measurement are
            left out.
        faults: flip patterns of the circuit's faults (`Run.faults`), or None.
        alone: whether to mitigate the counts without the faults, too. The shipped model does not use these features
            where it has those with faults.

    Returns:
        ``(n_features,) float64`` in the order of `FEATURES`, NaN where unknown. Cost: some milliseconds, 20 more with
        faults, plus the time to mitigate the counts with and without them.

    Raises:
        ValueError: the counts and the profile or faults differ in the number of bits, or the profile measures nothing.

    Example:
        >>> row = features(counts={"000": 900, "001": 60, "010": 40})
        >>> float(row[NAMES.index("top_weight")]), float(row[NAMES.index("near_weight")])
        (0.9, 0.1)
    """
    known: dict[str, float] = {}
    read = None if counts is None else Distribution.of(counts)
    if profile is not None:
        read, faults = as_measured(profile, read, faults)
        known |= _circuit(profile)
        if calibration is not None:
            known |= _machine(profile, calibration)
    elif calibration is not None:
        known |= {"readout_mean": float(np.median(_misread(calibration)))}
    if read is not None:
        known.setdefault("n_measured", float(read.n_bits))
        known |= _counts(read)
        if alone:
            known |= _answer(read, "answer")
    if faults is not None:
        known |= {"faults": faults.expected_faults, "fault_flip": float(fault_flips(faults).mean())}
        if read is not None:
            known |= _answer(read, "fault", faults) | kernel_features(read, faults)
    return np.array([known.get(name, np.nan) for name in NAMES])


def as_measured(
    profile: ProfileLike, counts: Distribution | None, faults: FaultMasks | None
) -> tuple[Distribution | None, FaultMasks | None]:
    """Leave out the bits without a measurement: if nothing writes them they are always 0, and would count as read
    without errors.

    Raises:
        ValueError: the circuit measures nothing, or the counts or faults have another number of bits.
    """
    read, n = np.flatnonzero(profile.measured >= 0), len(profile.measured)
    if not len(read):
        raise ValueError(f"the circuit must measure something; none of its classical bits, {n}, holds a measurement")
    for name, known in (("counts", counts), ("faults", faults)):
        if known is not None and known.n_bits != n:
            raise ValueError(f"{name} must have one bit per classical bit of the circuit, {n}; got {known.n_bits}")
    if len(read) == n:
        return counts, faults
    if faults is not None:
        masks = pack(unpack(faults.masks, n)[:, read])
        masks, rates, kind = merge_masks(masks, faults.rates, faults.kind)
        last = None if faults.last_rotations is None else faults.last_rotations[read]
        faults = replace(
            faults,
            n_bits=len(read),
            masks=masks,
            rates=rates,
            kind=kind,
            readout=faults.readout[read],
            last_rotations=last,
        )
    return None if counts is None else counts.marginal(read.tolist()), faults


def _circuit(profile: ProfileLike) -> dict[str, float]:
    kinds = dict.fromkeys(("rz", "sx", "x", "two_qubit"), 0.0)
    for (gate, qubits), count in profile.gates.items():
        kind = "two_qubit" if len(qubits) > 1 else gate
        if kind in kinds:
            kinds[kind] += count
    return kinds | {
        "n_qubits": float(len(profile.active)),
        "n_measured": float((profile.measured >= 0).sum()),
        "two_qubit_depth": float(profile.two_qubit_depth),
    }


def _machine(profile: ProfileLike, calibration: CalibrationLike) -> dict[str, float]:
    losses = GateLosses(profile, calibration)
    flips = readout_flips(profile, calibration)
    read = -np.log1p(-flips).sum()
    return {
        "loss_1q": losses.one,
        "loss_2q": losses.two,
        "loss_readout": read,
        "idle_loss": losses.idle,
        "esp": float(np.exp(-(losses.one + losses.two + losses.decay + read))),
        "readout_mean": float(flips.mean()),
        "readout_worst": float(flips.max()),
        "local_flip": float(local_flips(profile, calibration).mean()),
    }


class GateLosses:
    """Negative logarithms of the probabilities that gates and idle qubits have no error, summed over circuit and qubit.

    A sum over the circuit is NaN if a figure that it needs is not published at all. The losses of single qubits are
    never NaN: there `TYPICAL_ERROR` replaces unknown gate errors, and unknown decay is left out.
    """

    def __init__(self, profile: ProfileLike, calibration: CalibrationLike) -> None:
        t1, t2 = _times(calibration.t1), _times(calibration.t2)
        n = len(profile.idle)
        if n > len(t1):
            raise ValueError(f"the calibration must cover the circuit's {n} qubits; it has {len(t1)}")
        self.one = self.two = self.decay = 0.0
        waiting = profile.idle * (1 / (4 * t1) + 1 / (2 * t2))[:n]
        self.idle = float(waiting.sum())
        self.by_qubit = np.nan_to_num(waiting, nan=0.0)
        """``(n_qubits,)`` expected errors on each qubit; those of a two-qubit gate are shared equally."""
        medians: dict[str, float] = {}
        for (gate, qubits), count in profile.gates.items():
            error = calibration.error(gate, qubits)
            if np.isnan(error):
                if gate not in medians:
                    typical = _typical(calibration.error, gate, calibration, len(qubits))
                    medians[gate] = 0.0 if np.isnan(typical) and gate in UNLISTED else typical
                error = medians[gate]
            length = calibration.duration(gate, qubits)
            decay = 0.0 if np.isnan(length) else float((length / t1[list(qubits)]).sum())
            loss = _loss(error, len(qubits)) * count
            self.decay += decay * count
            known = _loss(TYPICAL_ERROR.get(len(qubits), error), len(qubits)) * count if np.isnan(loss) else loss
            self.by_qubit[list(qubits)] += known / len(qubits)
            if len(qubits) > 1:
                self.two += loss
            else:
                self.one += loss


def _loss(error: float, width: int) -> float:
    """Return -log of the probability that a gate has no error; at most that of a fully depolarising gate."""
    return -float(np.log1p(-np.minimum(error, 1 - 2.0**-width)))


def readout_flips(profile: ProfileLike, calibration: CalibrationLike) -> Floats:
    """Return the mean readout error of the qubit behind each measured bit, ``(n_measured,)``, at most 1/2."""
    flips: Floats = _misread(calibration)[profile.measured[profile.measured >= 0]]
    return flips


def _misread(calibration: CalibrationLike) -> Floats:
    """Return the mean readout error of each qubit of the machine, ``(n_qubits,)``, at most 1/2.

    An unknown error is replaced by the median of its kind (of preparing 0, or of preparing 1) over the qubits with a
    working readout, or, if that is unknown too, by the other kind of error of the same qubit.
    """
    errors = np.array(calibration.readout, dtype=np.float64)
    for column in errors.T:
        known = column[column < 1]
        column[np.isnan(column)] = np.median(known) if len(known) else np.nan
    errors = np.where(np.isnan(errors), errors[:, ::-1], errors)
    return np.asarray(np.minimum(errors.mean(axis=1), 0.5))


def local_flips(profile: ProfileLike, calibration: CalibrationLike) -> Floats:
    """Estimate the flip rate of each measured bit from the errors on its qubit alone, ``(n_measured,)`` below 1/2.

    Two of three Pauli errors flip a bit; readout errors are added. Errors that spread from other qubits are left out,
    so the ratios between bits are more accurate than the rates themselves.
    """
    qubits = profile.measured[profile.measured >= 0]
    gates = 0.5 - 0.5 * np.exp(-4 / 3 * GateLosses(profile, calibration).by_qubit[qubits])
    read = np.nan_to_num(readout_flips(profile, calibration), nan=TYPICAL_READOUT)
    flips: Floats = gates + read - 2 * gates * read
    return flips


def fault_flips(faults: FaultMasks) -> Floats:
    """Return the flip rate of each bit from all faults that flip it and from readout, ``(n_bits,)``, at most 1/2."""
    reach = unpack(faults.masks, faults.n_bits)
    flipped = 0.5 - 0.5 * np.exp(-2 * faults.rates @ reach)
    read = np.minimum(faults.readout.mean(axis=1), 0.5)
    flips: Floats = flipped + read - 2 * flipped * read
    return flips


def _filled(values: Floats) -> Floats:
    """Replace unknown values by the median of the others."""
    unknown = np.isnan(values)
    return np.where(unknown, np.median(values[~unknown]) if not unknown.all() else np.nan, values)


def _times(values: Floats) -> Floats:
    """Replace coherence times that are unknown or not positive by the median of the others."""
    return _filled(np.where(values > 0, values, np.nan))


def _typical(look: Callable[..., float], gate: str, calibration: CalibrationLike, width: int) -> float:
    """Return the median over the machine of the published values for a gate; NaN where there are none."""
    places = calibration.couplings.tolist() if width == 2 else [(q,) for q in range(len(calibration.t1))]
    values = np.array([look(gate, tuple(place)) for place in places])
    values = values[values < 1]
    return float(np.median(values)) if len(values) else float("nan")


def _answer(counts: Distribution, name: str, noise: FaultMasks | None = None) -> dict[str, float]:
    if not counts.shots or not counts.n_bits:
        return {}
    return dict(zip((f"{name}_rate", f"{name}_entropy", f"{name}_top"), plug_in_label(counts, noise), strict=True))


def _counts(counts: Distribution) -> dict[str, float]:
    shots, weights = counts.shots, counts.weights
    if not shots or not counts.n_bits:
        return {}
    top = int(np.argmax(weights))
    distance = (counts.bits ^ counts.bits[top]).sum(axis=1)
    pairs = shots * (shots - 1)
    return {
        "shots": shots,
        "entropy": entropy(counts, normalised=True),
        "top_weight": float(weights[top] / shots),
        "near_weight": float(weights[distance == 1].sum() / shots),
        "mean_distance": float((weights * distance).sum() / shots / counts.n_bits),
        "collision": float((weights * (weights - 1)).clip(0).sum() / pairs) if pairs > 0 else float("nan"),
    }
