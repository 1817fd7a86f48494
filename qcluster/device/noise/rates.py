"""`estimate_rates`: effective flip rates of a run, of counts, or of a circuit on a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcluster.core.arithmetic import default_errstate
from qcluster.core.checks import check_real
from qcluster.core.counts.distribution import Distribution, read_with_width
from qcluster.core.counts.read import sets_pooled
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


@default_errstate
def estimate_rates(
    known: Any = None,
    machine: Any = None,
    counts: Any = None,
    *,
    model: Any = None,
    coverage: float = 0.8,
) -> Rates:
    """Estimate the effective flip rates of a run from whatever is known about it.

    Args:
        known: a `Run`, which includes everything else; or counts, in any form that `Distribution.of` takes; or a
            circuit or a `Profile`, with its machine as `machine`; or None.
        machine: a backend or its name, for which a circuit is compiled unless it uses only the machine's gates; or the
            `Calibration` of the machine that the circuit is already compiled for; None if it is not known. The noise
            of a machine that publishes no errors, such as a simulator, counts as unknown.
        counts: counts of the circuit; None before the run.
        model: a model from `qcluster.learn.rates.rate_model`; by default one fitted on the shipped table, which takes
            some seconds once.
        coverage: probability that the interval contains the true rate.

    Returns:
        Rates. The more is known, the narrower the interval. A run, or a circuit with its machine and counts, is best.
        Counts alone cannot distinguish a flat ideal output from heavy noise. Cost: the counts are mitigated two or
        three times. The first call with a new combination of known parts takes longer, since trees are fitted for it.

    Raises:
        ValueError: there is neither a circuit nor counts; the circuit measures nothing or cannot be compiled for the
            machine; the counts are probabilities, have another width than the circuit, are given twice, or are of
            several parameter sets, which are several circuits; or the coverage is not a number between 0 and 1.
        TypeError: an argument is of none of these types.
        CalibrationError: the profile, or the circuit given with a calibration, has a gate that the machine does not
            list: it is not compiled for this machine.
        AccountError: the machine is a real one, and the service cannot be reached.

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
        calibration = _with_errors(known.calibration)
        return predict_rates(known.profile, calibration, known.counts, known.faults, model=model, coverage=coverage)
    if isinstance(known, QuantumCircuit):
        if machine is None or isinstance(machine, Calibration):
            profile, calibration = read_profile(known, machine), machine
        else:
            profile, calibration = compiled_profile(known, find_machine(machine))
    else:
        is_calibration = machine is None or hasattr(machine, "readout")  # anything with a calibration's figures counts
        calibration = machine if is_calibration else find_machine(machine).calibration
        profile = None
        if known is not None and hasattr(known, "measured") and hasattr(known, "gates"):
            profile = known
        elif known is not None and counts is not None:
            raise ValueError(f"counts were given twice, or {type(known).__name__} is not a circuit, profile or run")
        elif known is not None:
            counts = known
    if (sets := sets_pooled(counts)) > 1:
        raise ValueError(
            f"counts must be those of one parameter set; got {sets} sets, which are several circuits: pass one, "
            "such as bits[0] of a BitArray, or Distribution.of(counts), which pools them"
        )
    if profile is None and counts is None:
        raise ValueError("estimate_rates needs a run, a circuit (with its backend) or counts; got none of them")
    if profile is not None:
        _check_measures(profile)
        counts = None if counts is None else _of_width(counts, len(profile.measured))
        compiled_here = isinstance(known, QuantumCircuit) and calibration is not machine  # by `compiled_profile`
        if isinstance(calibration, Calibration) and not compiled_here:
            _check_compiled(profile, calibration)
    calibration = _with_errors(calibration)
    faults = _faults(profile, calibration, counts)
    return predict_rates(profile, calibration, counts, faults, model=model, coverage=coverage)


def _with_errors(calibration: Any) -> Any:
    """Return a calibration, or None if it publishes no error: then nothing is known of the machine's noise."""
    return None if getattr(calibration, "harmless", False) else calibration


def _check_measures(profile: Any) -> None:
    """Raise ValueError if a circuit measures nothing, so that there are no bits to flip."""
    if not (profile.measured >= 0).any():
        name = repr(profile.name) if hasattr(profile, "name") else "this one"
        raise ValueError(f"the circuit must measure something; {name} does not: add circuit.measure_all()")


def _of_width(counts: Any, n_bits: int) -> Distribution:
    """Read the counts of a circuit with n_bits classical bits; ValueError if they have another width."""
    read = read_with_width(counts, n_bits)
    if read.n_bits != n_bits:
        raise ValueError(f"counts must have one bit per classical bit of the circuit, {n_bits}; got {read.n_bits}")
    return read


def _check_compiled(profile: Any, calibration: Calibration) -> None:
    """Raise CalibrationError if a circuit has a gate that the machine lacks: it is not compiled for that machine."""
    has_gates = bool(calibration.gates_1q or calibration.gates_2q)  # else only readout is known
    for gate, qubits in profile.gates:
        if has_gates and gate not in UNLISTED:
            listed_error(calibration, gate, qubits)


def _faults(profile: Any, calibration: Any, counts: Distribution | None) -> FaultMasks | None:
    """Find the fault patterns of a compiled circuit, or None; idle times count if it is not scheduled yet."""
    if not isinstance(profile, Profile) or not isinstance(calibration, Calibration):
        return None
    from qiskit.exceptions import QiskitError

    try:
        idle = "delay" not in profile.circuit.count_ops()
        return fault_masks(profile.circuit, calibration, idle=idle, dt=profile.dt, counts=counts)
    except (ValueError, QClusterError, QiskitError):
        return None  # for instance because a loop is too long; the other features remain


def compiled_profile(circuit: QuantumCircuit, machine: Machine) -> tuple[Profile, Calibration]:
    """Return the profile of a circuit, compiled and scheduled for a machine, and the machine's calibration.

    A circuit that uses only the machine's gates is taken as compiled, and its qubits as physical qubits. Any other is
    compiled first.
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
    for variable in circuit.iter_declared_vars():  # their initial values are set by store instructions
        physical.add_uninitialized_var(variable)
    for stretch in circuit.iter_declared_stretches():
        physical.add_stretch(stretch)
    for item in circuit.data:
        is_target_gate = item.name in target.operation_names and not (item.params or item.clbits)
        # A file may define gates of its own under the names of the target's.
        gate = target.operation_from_name(item.name) if is_target_gate else item.operation
        physical.append(gate, [circuit.find_bit(qubit).index for qubit in item.qubits], item.clbits)
    if can_schedule(physical, target):
        (physical,) = schedule([physical], target)
    return read_profile(physical, machine.calibration, dt=target.dt), machine.calibration
