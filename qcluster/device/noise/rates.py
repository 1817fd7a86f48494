"""`estimate_rates`: effective flip rates of a run, of counts, or of a circuit on a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcluster.core.arithmetic import own_errstate
from qcluster.core.checks import check_real
from qcluster.core.counts.distribution import Distribution, of_width
from qcluster.device.circuits.profile import Profile, read_profile
from qcluster.device.circuits.schedule import can_schedule, schedule
from qcluster.device.circuits.timeline import is_supported
from qcluster.device.machines.calibration import Calibration
from qcluster.device.machines.machine import Machine, find_machine
from qcluster.device.noise.faults import fault_masks
from qcluster.device.noise.walk import listed_error
from qcluster.device.prepare import transpile_for
from qcluster.errors import QClusterError
from qcluster.learn.features import UNLISTED
from qcluster.learn.rates import Rates, predict_rates

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

    from qcluster.core.noise.faults import FaultMasks


@own_errstate
def estimate_rates(
    known: Any = None,
    machine: Any = None,
    counts: Any = None,
    *,
    model: Any = None,
    coverage: float = 0.8,
) -> Rates:
    """Estimate the effective flip rates of a run, from whatever is known about it.

    Args:
        known: a `Run`, which has all there is; or counts, as anything that `Distribution.of` takes; or a circuit or a
            `Profile`, and then `machine` says where it runs; or None.
        machine: a backend or its name, and then a circuit that is not in the machine's gates is compiled for it; or a
            `Calibration`, which can compile nothing, of the machine that the circuit is compiled for; None where it is
            not known.
        counts: what the circuit read; None before the run.
        model: from `qcluster.learn.rates.rate_model`; by default the one fitted on the shipped table, which takes some
            seconds once.
        coverage: of the interval.

    Returns:
        Rates. The more is known the narrower the interval: a run, or a circuit with its machine and counts, is best;
        counts alone cannot tell a flat ideal output from heavy noise. The counts are mitigated two or three times; the
        first call with another part missing takes longer, since the model grows trees for what is there.

    Raises:
        ValueError: neither a circuit nor counts, a circuit that measures nothing or cannot be compiled for the
            machine, counts of another width than the circuit, counts given twice, or a coverage that is no number
            between 0 and 1.
        TypeError: something that is none of these, or a model that is none.
        CalibrationError: the machine does not list a gate of the profile, or of the circuit beside a calibration, which
            is then not compiled for it.
        AccountError: the machine is a real one, and cannot be asked.

    Example:
        >>> rates = estimate_rates({"00000": 800, "00001": 90, "01000": 60, "10000": 50})
        >>> rates.low < rates.value < rates.high, rates.per_bit.shape
        (True, (5,))
    """
    from qiskit.circuit import QuantumCircuit

    coverage = check_real("coverage", coverage, 0, 1, open_low=True, open_high=True)
    if model is not None and not (hasattr(model, "steps") and hasattr(model[-1], "predict_interval")):
        raise TypeError(f"model must be a fitted one, from qcluster.learn.rates.rate_model; got {type(model).__name__}")
    if all(hasattr(known, name) for name in ("counts", "profile", "calibration", "faults")):
        if machine is not None or counts is not None:
            raise ValueError("a run has its machine and its counts: give the run alone, or its parts")
        _check_measures(known.profile)
        calibration = None if known.calibration.harmless else known.calibration
        return predict_rates(known.profile, calibration, known.counts, known.faults, model=model, coverage=coverage)
    if isinstance(known, QuantumCircuit):
        if machine is None or isinstance(machine, Calibration):
            profile, calibration = read_profile(known, machine), machine
        else:
            profile, calibration = describe(known, find_machine(machine))
    else:
        figures = machine is None or hasattr(machine, "readout")  # whatever has a calibration's figures is one
        calibration = machine if figures else find_machine(machine).calibration
        profile = None
        if known is not None and hasattr(known, "measured") and hasattr(known, "gates"):
            profile = known
        elif known is not None and counts is not None:
            raise ValueError(f"counts were given twice, or {type(known).__name__} is no circuit, profile or run")
        elif known is not None:
            counts = known
    if profile is None and counts is None:
        raise ValueError("estimate_rates needs a run, a circuit (with its backend) or counts; got none of them")
    if profile is not None:
        _check_measures(profile)
        counts = None if counts is None else _of_width(counts, len(profile.measured))
        described = isinstance(known, QuantumCircuit) and calibration is not machine  # compiled here, if it was not yet
        if isinstance(calibration, Calibration) and not described:
            _check_compiled(profile, calibration)
    faults = _faults(profile, calibration, counts)
    return predict_rates(profile, calibration, counts, faults, model=model, coverage=coverage)


def _check_measures(profile: Any) -> None:
    """Raise ValueError where no bit holds a measurement: nothing is there to be flipped."""
    if not (profile.measured >= 0).any():
        name = repr(profile.name) if hasattr(profile, "name") else "this one"
        raise ValueError(f"the circuit must measure something; {name} does not: add circuit.measure_all()")


def _of_width(counts: Any, n_bits: int) -> Distribution:
    """Read the counts of a circuit of so many classical bits; ValueError where they have another width."""
    found = of_width(counts, n_bits)
    if found.n_bits != n_bits:
        raise ValueError(f"counts must have one bit per classical bit of the circuit, {n_bits}; got {found.n_bits}")
    return found


def _check_compiled(profile: Any, calibration: Calibration) -> None:
    """Raise CalibrationError where a circuit holds a gate that the machine does not have: its qubits are others."""
    lists = bool(calibration.gates_1q or calibration.gates_2q)  # else only readout is known
    for gate, qubits in profile.gates:
        if lists and gate not in UNLISTED:
            listed_error(calibration, gate, qubits)


def _faults(profile: Any, calibration: Any, counts: Distribution | None) -> FaultMasks | None:
    """Find the fault patterns of a compiled circuit where there is one; waiting counts where it has no delays yet."""
    if not isinstance(profile, Profile) or not isinstance(calibration, Calibration):
        return None
    from qiskit.exceptions import QiskitError

    try:
        idle = "delay" not in profile.circuit.count_ops()
        return fault_masks(profile.circuit, calibration, idle=idle, dt=profile.dt, counts=counts)
    except (ValueError, QClusterError, QiskitError):
        return None  # such as a loop that is too long: the rest is known all the same


def describe(circuit: QuantumCircuit, machine: Machine) -> tuple[Profile, Calibration]:
    """Give the profile of a circuit on a machine, scheduled, and the machine's calibration.

    A circuit in the machine's gates counts as compiled, its qubits as physical; any other is compiled first.
    """
    from qiskit import QuantumCircuit, QuantumRegister

    machine.check_width(circuit)
    target = machine.backend.target
    if not is_supported(circuit, target):
        (circuit,) = transpile_for([circuit], machine, level=3, seed=0)
    physical = QuantumCircuit(
        QuantumRegister(target.num_qubits, "q"), circuit.clbits, *circuit.cregs, name=circuit.name
    )
    for variable in circuit.iter_input_vars():
        physical.add_input(variable)
    for variable in circuit.iter_declared_vars():  # their first values are stored by operations
        physical.add_uninitialized_var(variable)
    for stretch in circuit.iter_declared_stretches():
        physical.add_stretch(stretch)
    for item in circuit.data:
        plain = item.name in target.operation_names and not (item.params or item.clbits)
        gate = target.operation_from_name(item.name) if plain else item.operation  # files define gates of their own
        physical.append(gate, [circuit.find_bit(qubit).index for qubit in item.qubits], item.clbits)
    if can_schedule(physical, target):
        (physical,) = schedule([physical], target)
    return read_profile(physical, machine.calibration, dt=target.dt), machine.calibration
