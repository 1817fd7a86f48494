"""The flip patterns of a compiled circuit's own faults, from the machine's calibration.

Under Pauli noise (twirling makes it so) each fault flips one pattern of measured bits. The observables Z_j that are
read at the end are carried backwards through the circuit; a Pauli fault flips bit j if it anticommutes with Z_j as it
is at that place. This is exact for Clifford circuits; where a rotation by another angle turns X into cos X + sin Y,
the fault is averaged over draws that take Y with probability sin^2.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from qcluster.core.arithmetic import own_errstate
from qcluster.core.counts.bits import Words
from qcluster.core.noise.faults import CROSSTALK, GATE, KINDS, FaultMasks, merge_masks
from qcluster.device.circuits import pauli
from qcluster.device.circuits.timeline import measurements
from qcluster.device.noise.walk import Coupling, Event, Fault, Measure, PairFault, Reset, Turn, walk
from qcluster.device.runtime_options import flips_served
from qcluster.errors import QClusterError

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.device.circuits.profile import Profile
    from qcluster.device.machines.calibration import Calibration

Floats = npt.NDArray[np.float64]

_log = logging.getLogger(__name__)


class RunLike(Protocol):
    """What the faults of a run follow from; `qcluster.device.run.Run`, which asks for them here, has it all."""

    @property
    def profile(self) -> Profile:
        """The compiled circuit."""

    @property
    def calibration(self) -> Calibration:
        """What the machine published."""

    @property
    def method(self) -> str:
        """``"hardware"``, or how the noise was simulated."""

    @property
    def flips(self) -> npt.NDArray[np.bool_]:
        """(n_twirls, n_bits): which bits each twirl had flipped."""

    @property
    def options(self) -> dict[str, Any]:
        """As given to `execute`."""

    @property
    def noiseless(self) -> bool:
        """True where a simulator without noise made the counts."""

    @property
    def reference(self) -> ReferenceLike | None:
        """What a reference circuit measured; None where none ran."""


class ReferenceLike(Protocol):
    """What knows better than the calibration; `qcluster.device.noise.reference.MeasuredReference` does."""

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

    Returns:
        FaultMasks. Cost: some 20 microseconds a gate, a millisecond where the circuit is not Clifford.

    Raises:
        ValueError: control flow, gates on more than two qubits, free parameters, a qubit outside the calibration.
        CalibrationError: the calibration lists no such gate there.

    Example:
        >>> from qiskit import QuantumCircuit
        >>> from qcluster.device import Calibration
        >>> circuit = QuantumCircuit(2)
        >>> _ = circuit.h(0), circuit.cx(0, 1), circuit.measure_all()
        >>> fault_masks(circuit, Calibration.ideal(2)).expected_faults
        0.0
    """
    back, readout = _go_back(circuit, calibration, idle=idle, dt=dt, draws=draws, rng=np.random.default_rng(seed))
    masks, rates, kind = back.collect(_neighbours(circuit, calibration))
    return FaultMasks(circuit.num_clbits, masks, rates, kind, readout)


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


def located_faults(
    circuit: QuantumCircuit,
    calibration: Calibration,
    *,
    idle: bool = True,
    dt: float | None = None,
    draws: int = 64,
    seed: int | np.random.Generator | None = 0,
) -> Located:
    """Find what `fault_masks` finds, place by place; arguments, errors and cost as there."""
    rng = np.random.default_rng(seed)
    back, readout = _go_back(circuit, calibration, idle=idle, dt=dt, draws=draws, rng=rng)
    found = [(place, *part[:2]) for place, part in zip(back.places, back.found, strict=True)]
    for i, j in _neighbours(circuit, calibration):
        mask = np.zeros((1, back.n_words), dtype=np.uint64)
        for bit in (i, j):
            mask[0, bit // 64] ^= np.uint64(1) << np.uint64(bit % 64)
        found.append((("crosstalk", i, j), mask, np.zeros(1)))
    places = tuple(dict.fromkeys(place for place, _, _ in found))
    number = {place: k for k, place in enumerate(places)}
    nothing = np.zeros((0, back.n_words), dtype=np.uint64)
    masks = np.concatenate([nothing, *(part for _, part, _ in found)])
    rates = np.concatenate([np.zeros(0), *(part for _, _, part in found)])
    at = np.repeat(
        np.array([number[place] for place, _, _ in found], dtype=np.uint64), [len(part) for _, part, _ in found]
    )
    keep = masks.any(axis=1)
    keys, slot = np.unique(np.column_stack([at, masks])[keep], axis=0, return_inverse=True)
    total = np.bincount(slot.ravel(), rates[keep], len(keys)).astype(np.float64)
    return Located(places, keys[:, 0].astype(np.int64), keys[:, 1:], total, readout, circuit.num_clbits)


def _go_back(
    circuit: QuantumCircuit, calibration: Calibration, *, idle: bool, dt: float | None, draws: int,
    rng: np.random.Generator,
) -> tuple[_Backward, Floats]:  # fmt: skip
    """Carry what is read back through a circuit, past all its faults; and readout errors, (n_bits, 2)."""
    if circuit.num_qubits > calibration.n_qubits:
        raise ValueError(
            f"the circuit must fit the calibration's {calibration.n_qubits} qubits; it has {circuit.num_qubits}"
        )
    walked = walk(circuit, calibration, idle=idle, dt=dt)
    clifford = all(_is_clifford(event) for event in walked.events)
    back = _Backward(circuit.num_clbits, 1 if clifford else draws, rng)
    for event in reversed(walked.events):
        if event is not None:
            back.step(event)
    return back, walked.readout


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
    if run.reference is not None:
        return run.reference.faults_of(run, dt=dt, draws=draws)
    faults = fault_masks(
        run.profile.circuit,
        run.calibration,
        idle=run.method == "hardware",
        dt=run.profile.dt if dt is None else dt,
        draws=draws,
    )
    return faults.symmetrised() if run.flips.any() or flips_served(run.options) else faults


@own_errstate
def known_faults(run: RunLike) -> FaultMasks | None:
    """Find the fault masks of a run, or None: no noise is published, or the circuit is beyond `fault_masks`."""
    from qiskit.exceptions import QiskitError

    if run.noiseless or run.calibration.harmless:
        return None
    try:
        return run_faults(run)
    except (ValueError, QClusterError, QiskitError) as error:
        _log.info("no fault patterns for %s: %s", run, error)
        return None


def _is_clifford(event: Event | None) -> bool:
    if isinstance(event, Turn):
        return bool(np.allclose(event.squares, event.squares.round(), atol=1e-6))
    if isinstance(event, Coupling):
        return bool(np.isclose(np.sin(2 * event.angle), 0, atol=1e-6))
    return True


def _neighbours(circuit: QuantumCircuit, calibration: Calibration) -> list[tuple[int, int]]:
    """Pairs of classical bits that hold coupled qubits."""
    measured, _ = measurements(circuit)
    bit_of = {int(qubit): bit for bit, qubit in enumerate(measured) if qubit >= 0}
    pairs = {tuple(sorted((int(a), int(b)))) for a, b in calibration.couplings}
    return [(bit_of[a], bit_of[b]) for a, b in sorted(pairs) if a in bit_of and b in bit_of]


class _Backward:
    """Patterns that X, Y, Z at the current place of each qubit would flip, one set for each draw."""

    def __init__(self, n_bits: int, draws: int, rng: np.random.Generator) -> None:
        self.n_words = max(1, (n_bits + 63) // 64)
        self.draws = draws
        self.rng = rng
        self.flips: dict[int, npt.NDArray[np.uint64]] = {}
        self.written: set[int] = set()
        self.found: list[tuple[Words, Floats, int]] = []
        self.places: list[tuple[Any, ...]] = []

    def of(self, qubit: int) -> npt.NDArray[np.uint64]:
        """(3, draws, n_words) patterns of X, Y, Z."""
        if qubit not in self.flips:
            self.flips[qubit] = np.zeros((3, self.draws, self.n_words), dtype=np.uint64)
        return self.flips[qubit]

    def uniforms(self) -> Floats:
        """One number in [0, 1) per draw, evenly spread, in random order."""
        return (self.rng.permutation(self.draws) + self.rng.random()) / self.draws

    def step(self, event: Event) -> None:
        """Go back past one event."""
        match event:
            case Turn(qubit, squares):
                permutations, shares = pauli.branches(squares)
                pick = np.minimum(np.searchsorted(np.cumsum(shares), self.uniforms()), len(shares) - 1)
                become = permutations[pick].T
                self.flips[qubit] = np.take_along_axis(self.of(qubit), become[:, :, None], axis=0)
            case Coupling(a, b, axis, angle):
                turned = (self.of(a)[axis] ^ self.of(b)[axis]) * (self.uniforms() < np.sin(angle) ** 2)[:, None]
                others = [p for p in range(3) if p != axis]
                for qubit in (a, b):
                    self.flips[qubit] = self.flips[qubit].copy()
                    self.flips[qubit][others] ^= turned.astype(np.uint64)
            case Fault(qubit, rates, kind):
                self.add(self.of(qubit), np.repeat(rates, self.draws), kind, (KINDS[kind], qubit))
            case PairFault(a, b, rates):
                one, two = (np.concatenate([np.zeros_like(self.of(q)[:1]), self.of(q)]) for q in (a, b))
                both = (one[:, None] ^ two[None]).reshape(16, self.draws, self.n_words)[1:]
                place = ("pair", min(a, b), max(a, b))
                self.add(both, np.repeat(rates.ravel()[1:], self.draws), GATE, place)
            case Measure(qubit, bit):
                self.measure(qubit, bit)
            case Reset(qubit):
                self.flips.pop(qubit, None)

    def measure(self, qubit: int, bit: int) -> None:
        """X and Y before a measurement flip what it writes, unless the bit is written again later; Z does nothing."""
        flips = self.of(qubit).copy()
        flips[1] = flips[0]
        flips[2] = 0
        if bit not in self.written:
            flips[:2, :, bit // 64] ^= np.uint64(1) << np.uint64(bit % 64)
            self.written.add(bit)
        self.flips[qubit] = flips

    def add(self, patterns: npt.NDArray[np.uint64], rates: Floats, kind: int, place: tuple[Any, ...]) -> None:
        """Note faults at a place, with a share of their rate for each draw."""
        self.places.append(place)
        self.found.append((patterns.reshape(-1, self.n_words), rates / self.draws, kind))

    def collect(self, neighbours: list[tuple[int, int]]) -> tuple[Words, Floats, Any]:
        """Add up everything noted, and list neighbouring bits as crosstalk of rate 0."""
        pairs = np.zeros((len(neighbours), self.n_words), dtype=np.uint64)
        for row, bits in enumerate(neighbours):
            for bit in bits:
                pairs[row, bit // 64] ^= np.uint64(1) << np.uint64(bit % 64)
        self.found.append((pairs, np.zeros(len(pairs)), CROSSTALK))
        kind = np.concatenate([np.full(len(masks), kind, dtype=np.uint8) for masks, _, kind in self.found])
        rates = np.concatenate([rates for _, rates, _ in self.found])
        return merge_masks(np.concatenate([masks for masks, _, _ in self.found]), rates, kind)
