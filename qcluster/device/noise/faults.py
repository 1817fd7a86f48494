"""The flip patterns of a compiled circuit's own faults, from the machine's calibration.

Under Pauli noise (twirling makes it so) each fault flips one pattern of measured bits. The observables Z_j that are
read at the end are carried backwards through the circuit; a Pauli fault flips bit j if it anticommutes with Z_j as it
is at that place. This is exact for Clifford circuits; where a rotation by another angle turns X into cos X + sin Y,
the fault is averaged over draws that take Y with probability sin^2.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from qcluster.core.arithmetic import own_errstate
from qcluster.core.arrays import Floats
from qcluster.core.checks import check_flag, check_real, check_whole, make_rng
from qcluster.core.counts.bits import Words
from qcluster.core.counts.distribution import Distribution, of_width
from qcluster.core.noise.faults import CROSSTALK, FaultMasks, merge_masks
from qcluster.device.circuits.timeline import check_calibration, check_circuit, measurements
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
    """What the faults of a run follow from: fields of `qcluster.device.run.Run`, which asks for them here."""

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
    """What knows better than the calibration; `qcluster.device.noise.measured.MeasuredReference` does."""

    def faults_of(self, run: RunLike, *, dt: float | None = None, draws: int = 64) -> FaultMasks:
        """Give the fault masks of a run at the rates that the reference measured."""


@own_errstate
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

    The first-order physics of the machine, for `qcluster.core.noise.kernel`: depolarising gate errors, decoherence
    during gates and waits, readout errors with the decay before the measurement. Pairs of neighbouring measured
    qubits are listed as crosstalk with rate 0, for a fit to find.

    Args:
        circuit: compiled for the machine, so that its qubits are the physical ones.
        calibration: of that machine, at best of that day. What is dead scrambles its qubits; see
            `Calibration.assumed_error`.
        idle: True counts the waiting of an unscheduled circuit too, run as late as possible, which is what hardware
            does; False counts explicit delays only, which is what a simulator does.
        dt: seconds per unit of a delay given in "dt"; needed only if there are such delays.
        draws: branches to average over where the circuit is not Clifford.
        seed: of these branches.
        counts: of the circuit, from which it is read how often the conditions of its control flow hold; without them,
            each bit of a condition is as often 0 as 1.

    Returns:
        FaultMasks. Cost: some 20 microseconds a gate, a millisecond where the circuit is not Clifford.

    Raises:
        ValueError: gates on more than two qubits, free parameters, a qubit outside the calibration, counts of another
            width, a classical program that cannot be read (see `qcluster.device.circuits.conditions`).
        TypeError: what is no circuit, or no calibration.
        CalibrationError: the calibration lists no such gate there.

    Example:
        >>> from qiskit import QuantumCircuit
        >>> from qcluster.device import Calibration
        >>> circuit = QuantumCircuit(2)
        >>> _ = circuit.h(0), circuit.cx(0, 1), circuit.measure_all()
        >>> fault_masks(circuit, Calibration.ideal(2)).expected_faults
        0.0
    """
    back = _go_back(circuit, calibration, idle, dt, draws, seed, counts)
    masks, rates, kind, _ = back.collect()
    masks, rates, kind = merge_masks(masks, rates, kind)
    return FaultMasks(circuit.num_clbits, masks, rates, kind, back.readout, back.rotations)


@dataclass(frozen=True, eq=False)
class Located:
    """Flip patterns of a circuit's faults, with the place that each comes from."""

    places: tuple[tuple[Any, ...], ...]
    """("pair", a, b): gates on two qubits; ("gate", q): on one; ("idle", q): waiting; ("crosstalk", i, j): classical
    bits that hold coupled qubits, which no calibration knows of."""
    place: npt.NDArray[np.int64]
    """(n_masks,) which place."""
    masks: Words
    """(n_masks, n_words) packed patterns, distinct at each place."""
    rates: Floats
    """(n_masks,) expected number per shot; 0 for crosstalk."""
    readout: Floats
    """(n_bits, 2) as in `FaultMasks`."""
    n_bits: int
    """Number of classical bits."""
    rotations: float
    """As in `FaultMasks`."""


def located_faults(
    circuit: QuantumCircuit,
    calibration: Calibration,
    *,
    idle: bool = True,
    dt: float | None = None,
    draws: int = 64,
    counts: Distribution | None = None,
) -> Located:
    """Find what `fault_masks` finds, place by place; arguments, errors and cost as there."""
    back = _go_back(circuit, calibration, idle, dt, draws, 0, counts)
    masks, rates, _, at = back.collect()
    keep = masks.any(axis=1)
    keys, slot = np.unique(np.column_stack([at, masks])[keep], axis=0, return_inverse=True)
    total = np.bincount(slot.ravel(), rates[keep], len(keys)).astype(np.float64)
    what = keys[:, 1:], total, back.readout, circuit.num_clbits, back.rotations
    return Located(tuple(back.places), keys[:, 0].astype(np.int64), *what)


def _go_back(
    circuit: QuantumCircuit, calibration: Calibration, idle: bool, dt: float | None, draws: int,
    seed: int | np.random.Generator | None, counts: Distribution | None,
) -> Backward:  # fmt: skip
    """Carry what is read back through a circuit, past all its faults; pairs of neighbours are noted last."""
    rng = make_rng(seed)
    check_circuit(circuit)
    check_calibration(calibration)
    draws, idle = check_whole("draws", draws, 1), check_flag("idle", idle)
    dt = None if dt is None else check_real("dt", dt, 0)
    if counts is not None:
        counts = of_width(counts, circuit.num_clbits)
        if counts.n_bits != circuit.num_clbits:
            raise ValueError(f"counts must have the circuit's {circuit.num_clbits} bits; got {counts.n_bits}")
    if circuit.num_qubits > calibration.n_qubits:
        raise ValueError(
            f"the circuit must fit the calibration's {calibration.n_qubits} qubits; it has {circuit.num_qubits}"
        )
    events = walk(circuit, calibration, idle=idle, dt=dt)
    clifford = all(is_clifford(event) for event in events)
    back = Backward(circuit.num_clbits, 1 if clifford else draws, rng, counts)
    for event in reversed(events):
        if event is not None:
            back.step(event)
    for i, j in _neighbours(circuit, calibration):
        back.note(back.single[[i]] ^ back.single[[j]], np.zeros(1), CROSSTALK, ("crosstalk", i, j))
    return back


@own_errstate
def run_faults(run: RunLike, *, dt: float | None = None, draws: int = 64) -> FaultMasks:
    """Find the fault masks of a run, as `fault_masks` does, from the circuit and the calibration that it carries.

    A run with a reference has the rates that this measured (see `qcluster.device.noise.learned`). Waiting counts on
    hardware, and where the simulated circuit was scheduled; readout errors are symmetric where measurements were
    twirled. `Run.faults` gives the same, and None where there is nothing to go by.

    Args:
        run: from `execute`, or read back from a saved job.
        dt: seconds per unit of delay, where the run's own profile does not say.
        draws: as in `fault_masks`.

    Raises:
        ValueError: as `fault_masks` does.

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
        raise TypeError(f"run must be a Run; got {type(run).__name__}: of a circuit and its calibration, fault_masks")
    if run.reference is not None:
        return run.reference.faults_of(run, dt=dt, draws=draws)
    return as_twirled(fault_masks(**facts_of(run, dt, draws)), run)


def facts_of(run: RunLike, dt: float | None, draws: int) -> dict[str, Any]:
    """Give what `fault_masks` and `located_faults` ask, of a run."""
    return {
        "circuit": run.profile.circuit,
        "calibration": run.calibration,
        "idle": run.method == "hardware",
        "dt": run.profile.dt if dt is None else dt,
        "draws": draws,
        "counts": run.counts,
    }


def as_twirled(faults: FaultMasks, run: RunLike) -> FaultMasks:
    """Exchange the two readout errors of the bits that a run measured with flips, undone in its counts, in the share of
    twirls that had them flipped: half, and readout is symmetric, unless the number of twirls is odd.

    The decay before the measurement goes with them: the Paulis that undo the twirl of a last gate come as late as
    possible, so that the qubit has waited flipped as often as not. A delay of the user's own after them is not
    twirled; there the decay is right on average only."""
    flipped = flipped_share(run.flips, run.options)[:, None]
    return replace(faults, readout=(1 - flipped) * faults.readout + flipped * faults.readout[:, ::-1])


def flipped_share(flips: npt.NDArray[np.bool_], options: Mapping[str, Any]) -> Floats:
    """Give the share of twirls in which each bit was flipped before it was read, ``(n_bits,)``: by our flips, or half
    where the runtime flips."""
    return np.full(flips.shape[1], 0.5) if flips_served(options) else np.asarray(flips.mean(axis=0))


@own_errstate
def known_faults(run: RunLike) -> tuple[FaultMasks | None, str]:
    """Find the fault masks of a run; where there are none, None and the reason in words.

    The reason is empty where the run is known to have no noise.
    """
    from qiskit.exceptions import QiskitError

    if run.noiseless:
        return None, ""
    if run.calibration.harmless:
        return None, f"{run.calibration.backend} publishes no errors"
    try:
        return run_faults(run), ""
    except (ValueError, QClusterError, QiskitError) as error:
        _log.info("no fault patterns for %s: %s", run, error)
        return None, str(error)


def _neighbours(circuit: QuantumCircuit, calibration: Calibration) -> list[tuple[int, int]]:
    """Pairs of classical bits that hold coupled qubits."""
    measured, _ = measurements(circuit)
    bit_of = {int(qubit): bit for bit, qubit in enumerate(measured) if qubit >= 0}
    pairs = {tuple(sorted((int(a), int(b)))) for a, b in calibration.couplings}
    return [(bit_of[a], bit_of[b]) for a, b in sorted(pairs) if a in bit_of and b in bit_of]
