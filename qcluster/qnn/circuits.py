"""Qiskit circuits of an ansatz: the data qubits are 0 ... n-1, the readout is qubit n."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.qnn.ansatz import Ansatz, Term
from qcluster.qnn.encoding import Inputs

if TYPE_CHECKING:
    from qiskit import QuantumCircuit


def circuit(
    ansatz: Ansatz,
    theta: npt.ArrayLike | None = None,
    preparation: QuantumCircuit | None = None,
    *,
    measure: bool = True,
) -> QuantumCircuit:
    """Build the complete circuit: preparation of the data, the gates, and the measurement of the readout.

    The expectation value of the measured operator is P(0) - P(1). Mind the sign: if the readout starts in 1,
    exp(i phi X) gives <Y> = -sin(2 phi), so phi = +pi/4 gives -1; if it starts in 0, the same angle gives +1.

    Args:
        ansatz: The gates.
        theta: (n_parameters,) angles; None keeps them as a `ParameterVector` named theta.
        preparation: A circuit on the n data qubits that prepares the input state, entangled or not.
        measure: False omits the basis change and the measurement.

    Example:
        >>> from qcluster.qnn.ansatz import build
        >>> dict(circuit(build("zx", 2), [0.1, 0.2, 0.3]).count_ops())
        {'rzx': 2, 'x': 1, 'rx': 1, 'sdg': 1, 'h': 1, 'measure': 1}
    """
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector

    n = ansatz.n_data
    out = QuantumCircuit(n + 1, 1 if measure else 0)
    if preparation is not None:
        if preparation.num_qubits != n or preparation.num_clbits:
            raise ValueError(
                f"the preparation must act on {n} qubits and measure none; got "
                f"{preparation.num_qubits} qubits and {preparation.num_clbits} classical bits"
            )
        out.compose(preparation, range(n), inplace=True)
    if ansatz.start in "1-":
        out.x(n)
    if ansatz.start in "+-":
        out.h(n)
    values: Any = ParameterVector("theta", ansatz.n_parameters) if theta is None else np.asarray(theta, dtype=float)
    if len(values) != ansatz.n_parameters:
        raise ValueError(f"theta must have {ansatz.n_parameters} entries; got {len(values)}")
    for term, angle in zip(ansatz.terms, values, strict=True):
        _append(out, term, angle if theta is None else float(angle), n)
    if measure:
        _basis_change_to_z(out, ansatz.measure, n)
        out.measure(n, 0)
    return out


def template(ansatz: Ansatz) -> QuantumCircuit:
    """Build one parametrised circuit for all bit strings and product states.

    RY(a_i) followed by RZ(b_i) prepares data qubit i. The circuit is transpiled once and bound once per input;
    `bindings` returns the values of a, b and theta.
    """
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector

    a, b = ParameterVector("a", ansatz.n_data), ParameterVector("b", ansatz.n_data)
    preparation = QuantumCircuit(ansatz.n_data)
    for qubit in range(ansatz.n_data):
        preparation.ry(a[qubit], qubit)
        preparation.rz(b[qubit], qubit)
    return circuit(ansatz, preparation=preparation)


def bindings(theta: Floats, inputs: Inputs, row: int) -> dict[str, Floats]:
    """Return the values of the parameter vectors a, b and theta of a template for one input, keyed by name."""
    a, b = _bloch(inputs, row)
    return {"a": a, "b": b, "theta": theta}


def bind(template: QuantumCircuit, values: dict[str, Floats]) -> QuantumCircuit:
    """Bind a template by the names of its vectors, since transpilation may have dropped or reordered parameters."""
    assignment = {p: float(values[p.vector.name][p.index]) for p in template.parameters}
    return template.assign_parameters(assignment)


def prepare(inputs: Inputs, row: int) -> QuantumCircuit:
    """Build the circuit that prepares one input by X gates, single-qubit rotations, or state-vector synthesis.

    Synthesis of a general state costs about 2**n two-qubit gates. If you know a shorter preparation, pass it to
    `circuit`.
    """
    from qiskit import QuantumCircuit

    out = QuantumCircuit(inputs.n_data)
    if inputs.kind == "state":
        out.prepare_state(np.asarray(inputs.array[row], dtype=np.complex128), range(inputs.n_data))
        return out
    a, b = _bloch(inputs, row)
    for qubit in range(inputs.n_data):
        if inputs.kind == "product":
            out.ry(a[qubit], qubit)
            out.rz(b[qubit], qubit)
        elif a[qubit]:
            out.x(qubit)
    return out


def _bloch(inputs: Inputs, row: int) -> tuple[Floats, Floats]:
    """Return angles (a, b), each (n,), such that RY(a) followed by RZ(b) prepares each qubit's state from 0."""
    if inputs.kind == "state":
        raise ValueError("a state of all qubits together has no angles per qubit; see prepare")
    if inputs.kind == "basis":
        return np.pi * inputs.array[row].astype(np.float64), np.zeros(inputs.n_data)
    zero, one = np.asarray(inputs.array[row], dtype=np.complex128).T
    return 2 * np.arctan2(abs(one), abs(zero)), np.angle(one * zero.conj())


def _append(out: QuantumCircuit, term: Term, angle: Any, readout: int) -> None:
    """Append exp(i angle P R) as a ZX rotation between basis changes and a ladder of CX gates."""
    from qiskit.circuit.library import RXGate

    if term.data in ("X", "Z") and term.readout == "X":
        (out.rzx if term.data == "Z" else out.rxx)(-2 * angle, term.qubits[0], readout)
        return
    frame = out.copy_empty_like()
    _basis_change_to_x(frame, term.readout, readout)
    for qubit, letter in zip(term.qubits, term.data, strict=True):
        _basis_change_to_z(frame, letter, qubit)
    if "1" not in term.data:
        for first, second in pairwise(term.qubits):
            frame.cx(first, second)
    out.compose(frame, inplace=True)
    if not term.qubits:
        out.rx(-2 * angle, readout)
    elif "1" in term.data:
        out.append(RXGate(-2 * angle).control(len(term.qubits), annotated=True), [*term.qubits, readout])
    else:
        out.rzx(-2 * angle, term.qubits[-1], readout)
    out.compose(frame.inverse(), inplace=True)


def _basis_change_to_z(out: QuantumCircuit, letter: str, qubit: int) -> None:
    """Append the basis change that maps the Pauli operator to Z."""
    if letter == "Y":
        out.sdg(qubit)
    if letter in "XY":
        out.h(qubit)


def _basis_change_to_x(out: QuantumCircuit, letter: str, qubit: int) -> None:
    """Append the basis change that maps the Pauli operator to X."""
    if letter == "Y":
        out.sdg(qubit)
    elif letter == "Z":
        out.h(qubit)
