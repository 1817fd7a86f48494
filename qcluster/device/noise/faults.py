"""Flip patterns of a compiled circuit's faults, from the machine's calibration.

Under Pauli noise, which twirling brings about, each fault flips one pattern of measured bits. The observables Z_j that
are measured at the end are propagated backwards through the circuit; a Pauli fault flips bit j if it anticommutes with
the propagated Z_j at its place. This is exact for Clifford circuits. Where a rotation by another angle turns X into
cos X + sin Y, the pattern is averaged over random draws that take Y with probability sin^2.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from qcluster.core.arithmetic import default_errstate
from qcluster.core.arrays import Floats
from qcluster.core.checks import check_flag, check_whole, make_rng
from qcluster.core.counts.bits import Words
from qcluster.core.counts.distribution import Distribution, read_with_width
from qcluster.core.noise.faults import CROSSTALK, FaultMasks, merge_masks
from qcluster.device.circuits.timeline import check_calibration, check_circuit, check_dt, measurements
from qcluster.device.noise.backward import Backward, is_clifford
from qcluster.device.noise.walk import walk
from qcluster.device.runtime_options import flips_served
from qcluster.errors import QClusterError

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.circuits.profile import Profile
    from qcluster.device.machines.calibration import Calibration

_log = logging.getLogger(__name__)


class RunLike(Protocol):
    """Fields of `qcluster.device.run.Run` from which its faults are derived; that module imports this one."""

    @property
    def counts(self) -> Distribution: ...
    @property
    def profile(self) -> Profile: ...
    @property
    def calibration(self) -> Calibration: ...
    @property
    def method(self) -> str: ...
    @property
    def flips(self) -> npt.NDArray[np.bool_]: ...
    @property
    def options(self) -> dict[str, Any]: ...
    @property
    def noiseless(self) -> bool: ...
    @property
    def reference(self) -> ReferenceLike | None: ...


class ReferenceLike(Protocol):
    """A measured reference, such as `qcluster.device.noise.measured.MeasuredReference`."""

    def faults_of(self, run: RunLike, *, dt: float | None = None, draws: int = 64) -> FaultMasks:
        """Return the fault masks of a run, with the rates that the reference measured."""


@default_errstate
def fault_masks(
    circuit: QuantumCircuit,
    calibration: Calibration,
    *,
    idle: bool = True,
    dt: float | None = None,
    draws: int = 64,
    seed: int | np.random.Generator | None = 0,
    counts: Distribution | None = None,
) -> FaultMasks:
    """Find which measured bits each fault of a compiled circuit flips, and how often the calibration expects it.

    These are the first-order effects of the machine's noise, as input to `qcluster.core.noise.kernel`: depolarising
    gate errors, decoherence during gates and idle times, and readout errors that include the decay before the
    measurement. Crosstalk between measured neighbouring qubits is listed with rate 0, for a fit to determine.

    Args:
        circuit: compiled for the machine, so that its qubits are the physical ones.
        calibration: calibration of that machine, ideally of the same day. A gate that is out of order scrambles its
            qubits; see `Calibration.assumed_error`.
        idle: True also counts idle times of an unscheduled circuit, run as late as possible, as hardware does; False
            counts explicit delays only, as a simulator does.
        dt: seconds per unit of a delay given in "dt"; needed only if there are such delays.
        draws: number of random draws to average over where the circuit is not Clifford.
        seed: seed of these draws.
        counts: counts of the circuit, from which the probabilities of conditions in its control flow are estimated.
            Without them, each bit of a condition is 0 or 1 with equal probability.

    Returns:
        FaultMasks. Cost: some 20 microseconds per gate, a millisecond where the circuit is not Clifford.

    Raises:
        ValueError: the circuit has gates on more than two qubits, free parameters, qubits outside the calibration, or a
            classical program that is not supported (see `qcluster.device.circuits.conditions`); or the counts have
            another width.
        TypeError: `circuit` is not a circuit, or `calibration` is not a calibration.
        CalibrationError: the calibration lists no gate of a name that the circuit uses.

    Example:
        >>> from qiskit import QuantumCircuit
        >>> from qcluster.device import Calibration
        >>> circuit = QuantumCircuit(2)
        >>> _ = circuit.h(0), circuit.cx(0, 1), circuit.measure_all()
        >>> fault_masks(circuit, Calibration.ideal(2)).expected_faults
        0.0
    """
    backward = _propagate(circuit, calibration, idle, dt, draws, seed, counts)
    masks, rates, kind, _ = backward.collect()
    masks, rates, kind = merge_masks(masks, rates, kind)
    n_bits, last = circuit.num_clbits, backward.last_rotations
    return FaultMasks(n_bits, masks, rates, kind, backward.readout, backward.rotations, last_rotations=last)


@dataclass(frozen=True, eq=False)
class Located:
    """Flip patterns of a circuit's faults, each with the place where the faults occur."""

    places: tuple[tuple[Any, ...], ...]
    """("pair", a, b): gates on two qubits; ("gate", q): gates on one qubit; ("idle", q): idle times; ("crosstalk", i,
    j): classical bits of coupled qubits, about whose crosstalk a calibration says nothing."""
    place: npt.NDArray[np.int64]
    """(n_masks,) index into `places`."""
    masks: Words
    """(n_masks, n_words) packed patterns, distinct within each place."""
    rates: Floats
    """(n_masks,) expected number per shot; 0 for crosstalk."""
    readout: Floats
    """(n_bits, 2) as in `FaultMasks`."""
    n_bits: int
    """Number of classical bits."""
    rotations: float
    """As in `FaultMasks`."""
    last_rotations: Floats
    """(n_bits,) as in `FaultMasks`."""


def located_faults(
    circuit: QuantumCircuit,
    calibration: Calibration,
    *,
    idle: bool = True,
    dt: float | None = None,
    draws: int = 64,
    counts: Distribution | None = None,
) -> Located:
    """Find the same faults as `fault_masks`, place by place; arguments, errors and cost are as there."""
    backward = _propagate(circuit, calibration, idle, dt, draws, 0, counts)
    masks, rates, _, place = backward.collect()
    keep = masks.any(axis=1)
    distinct, slot = np.unique(np.column_stack([place, masks])[keep], axis=0, return_inverse=True)
    return Located(
        places=tuple(backward.places),
        place=distinct[:, 0].astype(np.int64),
        masks=distinct[:, 1:],
        rates=np.bincount(slot.ravel(), rates[keep], len(distinct)).astype(np.float64),
        readout=backward.readout,
        n_bits=circuit.num_clbits,
        rotations=backward.rotations,
        last_rotations=backward.last_rotations,
    )


def _propagate(
    circuit: QuantumCircuit, calibration: Calibration, idle: bool, dt: float | None, draws: int,
    seed: int | np.random.Generator | None, counts: Distribution | None,
) -> Backward:  # fmt: skip
    """Propagate the measured observables backwards through a circuit and record its faults, crosstalk last."""
    rng = make_rng(seed)
    check_circuit(circuit)
    check_calibration(calibration)
    draws, idle = check_whole("draws", draws, 1), check_flag("idle", idle)
    dt = check_dt(dt)
    if counts is not None:
        counts = read_with_width(counts, circuit.num_clbits)
        if counts.n_bits != circuit.num_clbits:
            raise ValueError(f"counts must have the circuit's {circuit.num_clbits} bits; got {counts.n_bits}")
    if circuit.num_qubits > calibration.n_qubits:
        raise ValueError(
            f"the circuit must fit the calibration's {calibration.n_qubits} qubits; it has {circuit.num_qubits}"
        )
    events = walk(circuit, calibration, idle=idle, dt=dt)
    clifford = all(is_clifford(event) for event in events)
    backward = Backward(circuit.num_clbits, 1 if clifford else draws, rng, counts)
    for event in reversed(events):
        if event is not None:
            backward.step(event)
    for i, j in _neighbours(circuit, calibration):
        backward.record(backward.single[[i]] ^ backward.single[[j]], np.zeros(1), CROSSTALK, ("crosstalk", i, j))
    return backward


@default_errstate
def run_faults(run: RunLike, *, dt: float | None = None, draws: int = 64) -> FaultMasks:
    """Find the fault masks of a run, as `fault_masks` does, from the run's circuit and calibration.

    If the run has a reference, the rates are those that it measured (see `qcluster.device.noise.learned`). Idle times
    count on hardware, and in a simulation if the circuit was scheduled. Readout errors are symmetric if measurements
    were twirled. `Run.faults` returns the same, or None where fault masks cannot be found.

    Args:
        run: a run from `execute`, or from a saved job.
        dt: seconds per unit of a delay given in "dt"; by default as in the run's profile.
        draws: as in `fault_masks`.

    Raises:
        TypeError: `run` is not a run.
        ValueError, CalibrationError: as in `fault_masks`.

    Example:
        >>> from qiskit import QuantumCircuit
        >>> from qcluster.device.execute import execute
        >>> circuit = QuantumCircuit(2)
        >>> _ = circuit.h(0), circuit.cx(0, 1), circuit.measure_all()
        >>> (run,) = execute([circuit], "fake_manila", shots=100, seed=1)
        >>> run_faults(run).readout.shape
        (2, 2)
    """
    if not hasattr(run, "profile"):
        raise TypeError(f"run must be a Run; got {type(run).__name__}: for a circuit and its calibration, fault_masks")
    if run.reference is not None:
        return run.reference.faults_of(run, dt=dt, draws=draws)
    return as_twirled(fault_masks(**fault_arguments(run, dt, draws)), run)


def fault_arguments(run: RunLike, dt: float | None, draws: int) -> dict[str, Any]:
    """Return the arguments of `fault_masks` or `located_faults` for a run."""
    return {
        "circuit": run.profile.circuit,
        "calibration": run.calibration,
        "idle": run.method == "hardware",
        "dt": run.profile.dt if dt is None else dt,
        "draws": draws,
        "counts": run.counts,
    }


def as_twirled(faults: FaultMasks, run: RunLike) -> FaultMasks:
    """Average the two readout errors of each bit as measurement twirls do.

    In the twirls that flip a bit before it is read, and flip it back in the counts, its two errors are exchanged. With
    an even number of twirls these are half of all, and readout is symmetric.

    Decay before the measurement is averaged too. This is right because the Paulis that undo the twirl of a last gate
    come as late as possible, so that the qubit was flipped while it waited in half of the cases. A delay of the user's
    own after them is not twirled; there the decay is right only on average.
    """
    return replace(faults, readout=twirled_readout(faults.readout, flipped_share(run.flips, run.options)))


def twirled_readout(readout: Floats, flipped: Floats) -> Floats:
    """Average the two readout errors of each bit, ``(n_bits, 2)``, which the share `flipped` of the twirls exchanges,
    ``(n_bits,)`` from `flipped_share`."""
    return np.asarray((1 - flipped[:, None]) * readout + flipped[:, None] * readout[:, ::-1])


def flipped_share(flips: npt.NDArray[np.bool_], options: Mapping[str, Any]) -> Floats:
    """Return the share of twirls that flip each bit before it is read, (n_bits,); one half where the runtime twirls."""
    return np.full(flips.shape[1], 0.5) if flips_served(options) else np.asarray(flips.mean(axis=0))


@default_errstate
def known_faults(run: RunLike) -> tuple[FaultMasks | None, str]:
    """Find the fault masks of a run; where that is impossible, return None and the reason.

    The reason is empty if the run is known to be noiseless.
    """
    if run.noiseless:
        return None, ""
    faults, missing = _found(run.calibration, lambda: run_faults(run))
    if missing:
        _log.info("no fault patterns for %s: %s", run, missing)
    return faults, missing


def unknown_faults(profile: Profile, calibration: Calibration, *, idle: bool) -> str:
    """Return why no fault masks will be found for a circuit once it has run; empty if they will be."""

    def find() -> FaultMasks:
        return fault_masks(profile.circuit, calibration, idle=idle, dt=profile.dt, draws=1)

    return _found(calibration, find)[1]


def _found(calibration: Calibration, find: Callable[[], FaultMasks]) -> tuple[FaultMasks | None, str]:
    """Call a function that finds fault masks; where they cannot be found, return None and the reason."""
    from qiskit.exceptions import QiskitError

    if calibration.harmless:
        return None, f"{calibration.backend} publishes no errors"
    try:
        return find(), ""
    except (ValueError, QClusterError, QiskitError) as error:
        return None, str(error)


def _neighbours(circuit: QuantumCircuit, calibration: Calibration) -> list[tuple[int, int]]:
    """List the pairs of classical bits that are measured from coupled qubits."""
    measured, _ = measurements(circuit)
    bit_of = {int(qubit): bit for bit, qubit in enumerate(measured) if qubit >= 0}
    pairs = {tuple(sorted((int(a), int(b)))) for a, b in calibration.couplings}
    return [(bit_of[a], bit_of[b]) for a, b in sorted(pairs) if a in bit_of and b in bit_of]
