"""Measure decision values on Aer and IBM machines through `qcluster.device.execute`, with twirling and mitigation.

Only the readout qubit is measured. Each circuit has one classical bit, so readout mitigation inverts a single 2 x 2
matrix. The shots of the twirled copies are pooled, then corrected, then averaged. Nothing is clipped before the mean is
taken, as that would bias it.
"""

from __future__ import annotations

import math
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

    from qcluster.core.noise.measured import MeasuredNoise
    from qcluster.device.machines.calibration import Calibration
    from qcluster.device.machines.machine import Machine
    from qcluster.device.noise.measured import MeasuredReference

_ONE_SIGMA = 0.6827
"""Level of a normal interval of one standard error on each side."""


@dataclass(frozen=True)
class DeviceReadout:
    """A machine and the options with which it measures decision values; a `ReadoutSource`.

    Example:
        >>> from qcluster.qnn import ansatz, encoding
        >>> source = DeviceReadout("aer")
        >>> theta = np.array([[np.pi / 4, 0.0, 0.0]])
        >>> rng = np.random.default_rng(1)
        >>> source.measure(ansatz.build("zx", 2), theta, encoding.basis([[1, 0]]), shots=100, rng=rng).values
        array([1.])
    """

    backend: Any
    """A backend or its name, as in `qcluster.execute`."""
    twirls: int = 1
    """Number of Pauli-twirled copies of a circuit, among which its shots are divided."""
    measure_twirl: bool = True
    """Whether to flip the readout at random before the measurement; has an effect only with two or more twirls."""
    dd: str | None = None
    """Dynamical decoupling sequence, as in `qcluster.execute`."""
    mitigation: str = "rescale"
    """none: use the raw counts. readout: undo the published readout error of the measured qubit. rescale: in addition,
    `QNNClassifier.measure` adds up to six training rows to the batch and divides by their slope. reference: run a
    reference circuit in the same batch, one for all bit strings or product states, and apply `qcluster.mitigate` with
    ``guard=False``, whose values have smaller errors. The reference is reused for 24 hours by batches with the same
    gates and no more shots, as in training."""
    layouts: int = 5
    """Number of compilations per ansatz (seeds 0, 1, ...); the one with the lowest total error is used."""
    mode: str = "batch"
    """Job, batch or session, as in `qcluster.execute`; not used if the backend is an open Session or Batch."""
    execute: Callable[..., Sequence[Any]] | None = field(default=None, repr=False)
    """Replacement for `qcluster.device.execute.execute` in tests and other stacks; it receives uncompiled circuits."""
    _compiled: dict[tuple[str, Ansatz], QuantumCircuit] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _references: dict[tuple[str, Ansatz], MeasuredReference] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        from qcluster.device.prepare import Options

        check_choice("mitigation", self.mitigation, ("rescale", "readout", "reference", "none"))
        check_whole("layouts", self.layouts, 1)
        twirls = check_whole("twirls", self.twirls, 1)
        Options(twirls, twirls, self.measure_twirl, dd=self.dd, mode=self.mode)  # type: ignore[arg-type]

    def check(self) -> None:
        """Look the machine up; if there is none of this name, raise the error that `qcluster.execute` would."""
        if self.execute is None:
            from qcluster.device.machines.machine import find_machine

            find_machine(self.backend)

    def measure(
        self, ansatz: Ansatz, thetas: Floats, inputs: Inputs, *, shots: int, rng: np.random.Generator
    ) -> Readouts:
        """Run one circuit per row, all in one batch; see `qcluster.qnn.measured.ReadoutSource`."""
        seed = int(rng.integers(2**31))
        runs, reused = self._run(ansatz, thetas, inputs, shots, seed)
        if self.mitigation == "reference" and any(getattr(run, "reference", None) is None for run in runs):
            raise ValueError("mitigation='reference' needs runs that hold what a reference measured; some hold none")
        means, errors = np.array([self._mean(run) for run in runs]).reshape(-1, 2).T
        n_shots = sum(run.counts.shots for run in runs)
        if self.mitigation != "reference":
            return Readouts(means, errors, len(thetas), round(n_shots))
        raw = np.array([corrected_mean(Distribution.of(run.counts), 0.0, 0.0)[0] for run in runs])
        references = {run.reference.skeleton: run.reference.counts.shots for run in runs if not reused}
        n_shots += sum(references.values())
        return Readouts(means, errors, len(thetas) + len(references), round(n_shots), raw=raw)

    def _run(self, ansatz: Ansatz, thetas: Floats, inputs: Inputs, shots: int, seed: int) -> tuple[Sequence[Any], bool]:
        """Return the runs, and whether they reuse the reference of an earlier batch."""
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
        from qcluster.device.noise.measured import is_reusable

        machine = find_machine(self.backend)
        target = machine.session or machine.backend
        options |= {"mode": "job"} if machine.session is not None else {}
        if inputs.kind == "state" or machine.gates is None:
            return execute(plain_circuits(ansatz, thetas, inputs), target, **options), False
        key = machine.name, ansatz
        if key not in self._compiled:
            self._compiled[key] = compile_template(circuits.template(ansatz), machine, self.layouts)
        if self.mitigation in ("readout", "rescale"):  # fail here, before any shots are spent
            readout_errors(machine.calibration, int(measurements(self._compiled[key])[0][0]))
        # One reference serves circuits that differ only in angles; merging rotations would make their gates differ too.
        merge = self.mitigation != "reference"
        bound = bind_all(self._compiled[key], machine.backend.target, thetas, inputs, merge=merge)
        stored = self._references.get(key)
        if stored is not None and is_reusable(stored, shots):
            return execute(bound, target, optimization_level=0, **options | {"reference": stored}), True
        runs = execute(bound, target, optimization_level=0, **options)
        if runs[0].reference is not None:
            self._references[key] = runs[0].reference
        return runs, False

    def _mean(self, run: Any) -> tuple[float, float]:
        """Return f of one run and its standard error."""
        counts = Distribution.of(run.counts)
        if self.mitigation == "none":
            return corrected_mean(counts, 0.0, 0.0)
        if self.mitigation == "reference":
            from qcluster.core.mitigate import mitigate

            # The decision of `mitigate` seeks the best fidelity: it leaves small values raw, and rounds large ones.
            interval = mitigate(run, guard=False).interval("Z", level=_ONE_SIGMA)
            of_reference = interval.value * contraction_error(run.reference.noise)
            return interval.value, math.hypot((interval.high - interval.low) / 2, of_reference)
        up, down = readout_errors(run.calibration, int(run.profile.measured[0]))
        shots = np.array([counts.shots for counts in run.twirl_counts])
        flipped = float(shots @ run.flips[:, 0] / shots.sum())  # share of shots for which the two errors swap
        return corrected_mean(counts, up + flipped * (down - up), down + flipped * (up - down))


def contraction_error(noise: MeasuredNoise) -> float:
    """Return the relative standard error of the contraction ``1 - 2 q`` of one bit that a reference measured.

    A mitigated value is the raw one over the contraction, so that this is its relative error as well, by the delta
    method. Mean and variance of the share q of flips are those of its posterior under a uniform prior: a reference that
    read no flip is not certain that there are none. At most 1, where the contraction is lost in shot noise.

    Example:
        >>> from qcluster.core.noise.measured import MeasuredNoise
        >>> round(contraction_error(MeasuredNoise({"0": 899, "1": 99}, "0")), 4)
        0.0237
    """
    q = (noise.flips[0] * noise.shots + 1) / (noise.shots + 2)
    spread = 2 * math.sqrt(q * (1 - q) / (noise.shots + 3))
    return float(spread / max(1 - 2 * q, spread))


def plain_circuits(ansatz: Ansatz, thetas: Floats, inputs: Inputs) -> list[QuantumCircuit]:
    """Build one uncompiled circuit per row."""
    return [circuits.circuit(ansatz, theta, circuits.prepare(inputs, k)) for k, theta in enumerate(thetas)]


def readout_errors(calibration: Calibration, qubit: int) -> tuple[float, float]:
    """Return the readout errors P(read 1|0) and P(read 0|1) of a qubit.

    Where the published errors are unknown or add to 1 or more, `Calibration.assumed_readout` replaces them.

    Raises:
        ValueError: They still add to 1 or more, as where both are published as 1, the sign of a failed readout.
    """
    up, down = map(float, calibration.readout[qubit])
    if not up + down < 1:  # also true for NaN, which marks an unknown error
        up, down = calibration.assumed_readout(qubit)
    if up + down >= 1:
        raise ValueError(
            f"the readout of qubit {qubit} must tell 0 from 1; {calibration.backend} publishes the errors "
            f"{', '.join(f'{error:g}' for error in calibration.readout[qubit])} for it: take another machine, or "
            "mitigation='none'"
        )
    return up, down


def corrected_mean(counts: Distribution, up: float, down: float) -> tuple[float, float]:
    """Estimate P(0) - P(1) of one bit, corrected for its readout error.

    The measured mean is <Z>_read = (1 - up - down) <Z> + (down - up). This function inverts it, without clipping.

    Args:
        counts: Counts of one bit.
        up: P(read 1 | 0).
        down: P(read 0 | 1).

    Returns:
        The mean and its standard error.

    Raises:
        ValueError: The counts do not have one bit, or up + down is not below 1, so that the readout carries no
            information.

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
    """Compile a template `tries` times and return the copy whose operations have the lowest total error.

    The layout search is random and a star of ZX gates needs routing, so the copies differ in length and in the qubits
    they use.

    Raises:
        ValueError: The machine has too few qubits, or the template cannot be compiled for it.
    """
    from qcluster.device.prepare import transpile_for

    machine.check_width(template)
    copies = [transpile_for([template], machine, 3, seed)[0] for seed in range(tries)]
    return min(copies, key=lambda copy: total_error(copy, machine.backend.target))


def total_error(compiled: QuantumCircuit, target: Target) -> float:
    """Return the sum of the published errors of all operations of a compiled circuit; unknown ones count as 0."""
    index = {qubit: k for k, qubit in enumerate(compiled.qubits)}
    total = 0.0
    for item in compiled.data:
        if _has_properties(item, target):
            known = target[item.operation.name].get(tuple(index[q] for q in item.qubits))
            total += (known.error or 0.0) if known is not None else 0.0
    return total


def bind_all(
    compiled: QuantumCircuit, target: Target, thetas: Floats, inputs: Inputs, *, merge: bool = True
) -> list[QuantumCircuit]:
    """Bind a compiled template to each row; `merge` then simplifies its single-qubit gates, such as rotations by 0."""
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


def _has_properties(item: Any, target: Target) -> bool:
    """Return whether the target has properties of an operation."""
    return item.operation.name in target.operation_names and target[item.operation.name] is not None
