"""Users' own circuits from OpenQASM 2, OpenQASM 3 or QPY files, with or without a known ideal output."""

from pathlib import Path

from qiskit import QuantumCircuit
from qiskit.exceptions import QiskitError

from qcluster.bench.circuits.case import SIMULATED_QUBITS, USER, Case, simulate
from qcluster.core.counts.distribution import read_with_width
from qcluster.core.words import plural
from qcluster.device.circuits.files import read_circuits
from qcluster.errors import StorageError
from qcluster.files import parse_json, read_whole


def read_cases(path: str | Path) -> list[Case]:
    """Read circuits from a file: ``.qasm`` (version 3, or 2 if the file says so) or ``.qpy`` (one or several circuits).

    The ideal output is read from a file beside it, ``NAME.ideal.json`` with ``{"0101": probability, ...}`` (for
    circuit k of several, counted from 0, ``NAME.k.ideal.json``). Without such a file it is simulated up to 22 qubits,
    and unknown beyond; then only metrics that need no ideal are computed. A circuit without measurements is measured at
    the end.

    Raises:
        StorageError: the file cannot be read, holds no circuit, or a circuit has parameters without values.
    """
    path = Path(path)
    circuits = read_circuits(path)
    stem = path.with_suffix("")
    if len(circuits) == 1:
        return [_case(circuits[0], path.name, stem)]
    return [_case(circuit, f"{path.name}/{k}", Path(f"{stem}.{k}")) for k, circuit in enumerate(circuits)]


def _case(circuit: QuantumCircuit, name: str, stem: Path) -> Case:
    if circuit.parameters:
        unbound = ", ".join(parameter.name for parameter in circuit.parameters)
        raise StorageError(
            f"the parameters of {name} must have values, by assign_parameters; got none for {unbound:.60}"
        )
    if not any(step.operation.name == "measure" for step in circuit.data):
        circuit = circuit.measure_all(inplace=False, add_bits=True)
    ideal_path = Path(f"{stem}.ideal.json")
    if ideal_path.exists():
        try:
            ideal = read_with_width(parse_json(read_whole(ideal_path), strict=True), circuit.num_clbits)
            if ideal.n_bits != circuit.num_clbits:
                needed = plural(circuit.num_clbits, "bit")
                raise ValueError(f"its strings must have the {needed} of {name}; got {ideal.n_bits}")
        except (OSError, ValueError, TypeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise StorageError(f"cannot read the ideal output from {ideal_path}: {reason}") from error
        return Case(name, USER, circuit, ideal, given=True)
    if circuit.num_qubits > SIMULATED_QUBITS:
        return Case(name, USER, circuit, None)
    try:
        return Case(name, USER, circuit, simulate(circuit))
    except (ValueError, QiskitError):
        return Case(name, USER, circuit, None)
