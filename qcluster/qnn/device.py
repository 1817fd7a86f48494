"""Measure the readout on Aer and IBM machines through `qcluster.device.execute`, with its twirling and our correction.

The data register is not measured: one classical bit per circuit, so readout mitigation is the inverse of one 2 x 2
matrix. The shots of twirled copies are pooled first, then corrected, then averaged; nothing is clipped in between,
which would bias the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from qcluster.core.arrays import Floats
from qcluster.core.checks import check_choice, check_whole
from qcluster.core.counts.distribution import Distribution
from qcluster.qnn import circuits
from qcluster.qnn.ansatz import Ansatz
from qcluster.qnn.encoding import Inputs
from qcluster.qnn.measured import Readouts

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.transpiler import Target

    from qcluster.device.machines.calibration import Calibration
    from qcluster.device.machines.machine import Machine
    from qcluster.device.noise.measured import MeasuredReference

_ONE_SIGMA = 0.6827
"""Level of an interval of one standard error on either side."""


@dataclass(frozen=True)
class DeviceReadout:
    """Hold a machine and the way it is used; a `ReadoutSource`.

    Example:
        >>> from qcluster.qnn import ansatz, encoding
        >>> source = DeviceReadout("aer")
        >>> theta = np.array([[np.pi / 4, 0.0, 0.0]])
        >>> rng = np.random.default_rng(1)
        >>> source.measure(ansatz.build("zx", 2), theta, encoding.basis([[1, 0]]), shots=100, rng=rng).values
        array([1.])
    """

    backend: Any
    """What `qcluster.execute` takes: a backend or its name."""
    twirls: int = 1
    """Pauli-twirled copies per circuit, which share its shots."""
    measure_twirl: bool = True
    """Whether the copies flip the readout at random before it is measured; needs more than one."""
    dd: str | None = None
    """Dynamical decoupling sequence, as in `qcluster.execute`."""
    mitigation: str = "rescale"
    """none: raw counts; readout: undo the published readout error of the measured qubit; rescale: that, and
    `QNNClassifier.measure` adds up to six training rows to the batch and divides by their slope; reference: run a
    reference circuit beside the circuits, one for all bit strings or product states, and take `qcluster.mitigate`. It
    is kept for 24 hours and serves later batches of the same gates and no more shots, as in training."""
    layouts: int = 5
    """Compilations tried per ansatz (seeds 0, 1, ...); the one with the least total gate error runs."""
    mode: str = "batch"
    """Job, batch or session, as in `qcluster.execute`; a Session or Batch that is open as the backend is used."""
    execute: Callable[..., Sequence[Any]] | None = field(default=None, repr=False)
    """Stand-in for `qcluster.device.execute.execute`, for tests and other stacks; it gets uncompiled circuits."""
    _compiled: dict[tuple[str, Ansatz], QuantumCircuit] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _measured: dict[tuple[str, Ansatz], MeasuredReference] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        from qcluster.device.prepare import Options

        check_choice("mitigation", self.mitigation, ("rescale", "readout", "reference", "none"))
        check_whole("layouts", self.layouts, 1)
        twirls = check_whole("twirls", self.twirls, 1)
        Options(twirls, twirls, self.measure_twirl, dd=self.dd, mode=self.mode)  # type: ignore[arg-type]

    def check(self) -> None:
        """Find the machine, and raise what `qcluster.execute` would if there is none of this name."""
        if self.execute is None:
            from qcluster.device.machines.machine import find_machine

            find_machine(self.backend)

    def measure(
        self, ansatz: Ansatz, thetas: Floats, inputs: Inputs, *, shots: int, rng: np.random.Generator
    ) -> Readouts:
        """Run one circuit per row as one batch; see `qcluster.qnn.measured.ReadoutSource`."""
        seed = int(rng.integers(2**31))
        runs, earlier = self._run(ansatz, thetas, inputs, shots, seed)
        if self.mitigation == "reference" and any(getattr(run, "reference", None) is None for run in runs):
            raise ValueError("mitigation='reference' needs runs that hold what a reference measured; some hold none")
        found = np.array([self._mean(run) for run in runs]).reshape(-1, 2)
        taken = sum(run.counts.shots for run in runs)
        if self.mitigation != "reference":
            return Readouts(found[:, 0], found[:, 1], len(thetas), round(taken))
        raw = np.array([corrected_mean(Distribution.of(run.counts), 0.0, 0.0)[0] for run in runs])
        references = {run.reference.skeleton: run.reference.counts.shots for run in runs if not earlier}
        circuits_run = len(thetas) + len(references)
        return Readouts(found[:, 0], found[:, 1], circuits_run, round(taken + sum(references.values())), raw=raw)

    def _run(self, ansatz: Ansatz, thetas: Floats, inputs: Inputs, shots: int, seed: int) -> tuple[Sequence[Any], bool]:
        """Give the runs, and whether the reference was one of an earlier batch."""
        options: dict[str, Any] = {
            "shots": shots,
            "twirls": self.twirls,
            "measure_twirl": self.measure_twirl,
            "dd": self.dd,
            "seed": seed,
            "mode": self.mode,
        }
        if self.mitigation == "reference":
            options["reference"] = True
        if self.execute is not None:
            return self.execute(plain_circuits(ansatz, thetas, inputs), self.backend, **options), False
        from qcluster.device.circuits.timeline import measurements
        from qcluster.device.execute import execute
        from qcluster.device.machines.machine import find_machine
        from qcluster.device.noise.measured import may_serve

        machine = find_machine(self.backend)
        place = machine.session or machine.backend
        options |= {"mode": "job"} if machine.session is not None else {}
        if inputs.kind == "state" or machine.gates is None:
            return execute(plain_circuits(ansatz, thetas, inputs), place, **options), False
        key = machine.name, ansatz
        if key not in self._compiled:
            self._compiled[key] = compile_template(circuits.template(ansatz), machine, self.layouts)
        if self.mitigation in ("readout", "rescale"):  # before shots are paid for
            readable(machine.calibration, int(measurements(self._compiled[key])[0][0]))
        # One reference serves all circuits that differ in angles only: merging turns would make them differ in gates.
        merge = self.mitigation != "reference"
        bound = bind_all(self._compiled[key], machine.backend.target, thetas, inputs, merge=merge)
        earlier = self._measured.get(key)
        if earlier is not None and may_serve(earlier, shots):
            return execute(bound, place, optimization_level=0, **options | {"reference": earlier}), True
        runs = execute(bound, place, optimization_level=0, **options)
        if runs[0].reference is not None:
            self._measured[key] = runs[0].reference
        return runs, False

    def _mean(self, run: Any) -> tuple[float, float]:
        """Return f of one run and its standard error."""
        counts = Distribution.of(run.counts)
        if self.mitigation == "none":
            return corrected_mean(counts, 0.0, 0.0)
        if self.mitigation == "reference":
            from qcluster.core.mitigate import mitigate

            found = mitigate(run).interval("Z", level=_ONE_SIGMA)
            return found.value, (found.high - found.low) / 2
        up, down = readable(run.calibration, int(run.profile.measured[0]))
        shots = np.array([counts.shots for counts in run.twirl_counts])
        flipped = float(shots @ run.flips[:, 0] / shots.sum())
        return corrected_mean(counts, up + flipped * (down - up), down + flipped * (up - down))


def plain_circuits(ansatz: Ansatz, thetas: Floats, inputs: Inputs) -> list[QuantumCircuit]:
    """Write one circuit per row, not compiled."""
    return [circuits.circuit(ansatz, theta, circuits.prepare(inputs, k)) for k, theta in enumerate(thetas)]


def readable(calibration: Calibration, qubit: int) -> tuple[float, float]:
    """Give P(read 1|0) and P(read 0|1) of a qubit; ValueError where they cannot be undone, as where both are published
    as 1, which says that the readout failed (see `Calibration.assumed_readout`)."""
    up, down = map(float, calibration.readout[qubit])
    if not up + down < 1:  # or one is not known
        up, down = calibration.assumed_readout(qubit)
    if up + down >= 1:
        raise ValueError(
            f"the readout of qubit {qubit} must tell 0 from 1; {calibration.backend} publishes the errors "
            f"{', '.join(f'{error:g}' for error in calibration.readout[qubit])} for it: take another machine, or "
            "mitigation='none'"
        )
    return up, down


def corrected_mean(counts: Distribution, up: float, down: float) -> tuple[float, float]:
    """Estimate P(0) - P(1) of one bit, undoing its readout error.

    Reading gives <Z>_read = (1 - up - down) <Z> + (down - up); this is the inverse, not clipped.

    Args:
        counts: One bit, shots as weights.
        up: P(read 1 | 0).
        down: P(read 0 | 1).

    Returns:
        The mean and its standard error.

    Raises:
        ValueError: Not one bit, or up + down is not below 1: such a readout carries nothing.

    Example:
        >>> corrected_mean(Distribution.of({"0": 70, "1": 30}), 0.1, 0.1)[0].__round__(6)
        0.5
    """
    if counts.n_bits != 1:
        raise ValueError(f"counts must have one bit, the readout; got {counts.n_bits}")
    if not 0 <= up + down < 1:
        raise ValueError(f"readout errors must add to less than 1; got {up} + {down}")
    value, error = counts.expectation("Z")
    scale = 1 - up - down
    return (value - (down - up)) / scale, error / scale


def compile_template(template: QuantumCircuit, machine: Machine, tries: int) -> QuantumCircuit:
    """Compile a template `tries` times and keep the copy whose gates and measurement have the least total error.

    Layout search is random, and a star of ZX gates needs routing, so copies differ in length and in luck.

    Raises:
        ValueError: the machine has fewer qubits, or it cannot be compiled for it.
    """
    from qcluster.device.prepare import transpile_for

    machine.check_width(template)
    copies = [transpile_for([template], machine, 3, seed)[0] for seed in range(tries)]
    return min(copies, key=lambda copy: total_error(copy, machine.backend.target))


def total_error(compiled: QuantumCircuit, target: Target) -> float:
    """Add up the published errors of all operations of a compiled circuit; unknown ones count as 0."""
    place = {qubit: k for k, qubit in enumerate(compiled.qubits)}
    total = 0.0
    for item in compiled.data:
        known = target[item.operation.name].get(tuple(place[q] for q in item.qubits)) if _listed(item, target) else None
        total += (known.error or 0.0) if known is not None else 0.0
    return total


def bind_all(
    compiled: QuantumCircuit, target: Target, thetas: Floats, inputs: Inputs, *, merge: bool = True
) -> list[QuantumCircuit]:
    """Bind a compiled template to each row, and merge what became trivial (turns by 0 or pi) into single gates."""
    from qiskit.transpiler import PassManager
    from qiskit.transpiler.passes import Optimize1qGatesDecomposition

    from qcluster.device.prepare import wrap_angles

    bound = [
        wrap_angles(circuits.bind(compiled, circuits.bindings(theta, inputs, k)), target)
        for k, theta in enumerate(thetas)
    ]
    if not merge:
        return bound
    passes = PassManager([Optimize1qGatesDecomposition(target=target)])
    return [passes.run(circuit) for circuit in bound]


def _listed(item: Any, target: Target) -> bool:
    return item.operation.name in target.operation_names and target[item.operation.name] is not None
