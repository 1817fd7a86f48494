"""Circuits that users hand over: OpenQASM 2, OpenQASM 3 and QPY files."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from qcluster.device.storage import load_circuits, parsing
from qcluster.errors import StorageError
from qcluster.files import read_whole

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

SUFFIXES = {".qasm", ".qasm3", ".qpy"}
"""How the names of circuit files end."""


def read_circuits(path: Path) -> list[QuantumCircuit]:
    """Read the circuits of a file, at least one: ``.qpy``, or else OpenQASM 2 (which must say so) or 3.

    Raises:
        StorageError: the file cannot be read as what its name says, or holds no circuit.
    """
    try:
        if path.suffix not in SUFFIXES:
            raise ValueError(f"the name must end in {', '.join(sorted(SUFFIXES))}")
        content = read_whole(path)
        circuits = load_circuits(content) if path.suffix == ".qpy" else [_parse_qasm(content.decode("utf-8"))]
    except (OSError, ValueError) as error:  # not there, no text, no circuit
        said = getattr(error, "strerror", None) or error
        raise StorageError(f"cannot read circuits from {path}: {said}") from error
    if not circuits:
        raise StorageError(f"cannot read circuits from {path}: it holds none")
    if path.suffix != ".qpy":
        circuits[0].name = path.stem
    return circuits


def _parse_qasm(text: str) -> QuantumCircuit:
    from qiskit import qasm2, qasm3

    if "OPENQASM 2" in text:
        with parsing("OpenQASM 2"):
            return qasm2.loads(text, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    if find_spec("qiskit_qasm3_import") is None:
        raise ValueError("OpenQASM 3 needs a reader: pip install qiskit-qasm3-import")
    with parsing("OpenQASM 2 or 3"):
        return qasm3.loads(text)
