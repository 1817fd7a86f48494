"""The user's own circuits, from OpenQASM 2, OpenQASM 3 or QPY files, with or without a known ideal output."""

from pathlib import Path

from qiskit import QuantumCircuit
from qiskit.exceptions import QiskitError

from qcluster.bench.circuits.case import SIMULATED_QUBITS, Case, simulate
from qcluster.core.counts.distribution import of_width
from qcluster.core.words import many
from qcluster.device.circuits.files import read_circuits
from qcluster.errors import StorageError
from qcluster.files import parse_json, read_whole


def read_cases(path: str | Path) -> list[Case]:
    """Read circuits from a file: ``.qasm`` (version 2, which must say so, or 3) or ``.qpy`` (one or several).

    The ideal output comes from a file beside it, ``NAME.ideal.json`` with ``{"0101": probability, ...}`` (for the
    k-th circuit of a QPY file ``NAME.k.ideal.json``), else from simulation up to 22 qubits, else it is unknown:
    then only what needs no ideal is scored. A circuit without measurements is measured at the end.

    Raises:
        StorageError: the file cannot be read, or holds no circuit, or one with parameters that have no value.
    """
    path = Path(path)
    circuits = read_circuits(path)
    stem = path.with_suffix("")
    if len(circuits) == 1:
        return [_case(circuits[0], path.name, stem)]
    return [_case(circuit, f"{path.name}/{k}", Path(f"{stem}.{k}")) for k, circuit in enumerate(circuits)]


def _case(circuit: QuantumCircuit, name: str, stem: Path) -> Case:
    if circuit.parameters:
        free = ", ".join(parameter.name for parameter in circuit.parameters)
        raise StorageError(f"the parameters of {name} must have values, by assign_parameters; got none for {free:.60}")
    if not any(step.operation.name == "measure" for step in circuit.data):
        circuit = circuit.measure_all(inplace=False, add_bits=True)
    beside = Path(f"{stem}.ideal.json")
    if beside.exists():
        try:
            given = of_width(parse_json(read_whole(beside), strict=True), circuit.num_clbits)
            if given.n_bits != circuit.num_clbits:
                wanted = many(circuit.num_clbits, "bit")
                raise ValueError(f"its strings must have the {wanted} of {name}; got {given.n_bits}")
        except (OSError, ValueError, TypeError) as error:
            raise StorageError(f"cannot read the ideal output from {beside}: {error}") from error
        return Case(name, "user", circuit, given, given=True)
    if circuit.num_qubits > SIMULATED_QUBITS:
        return Case(name, "user", circuit, None)
    try:
        return Case(name, "user", circuit, simulate(circuit))
    except (ValueError, QiskitError):
        return Case(name, "user", circuit, None)
