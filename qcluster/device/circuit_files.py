"""Circuits from files: OpenQASM 2 or 3, or Qiskit's QPY."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcluster.device.storage import load_circuits
from qcluster.errors import StorageError
from qcluster.files import read_whole

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

SUFFIXES = {".qasm", ".qasm3", ".qpy"}
"""How the names of circuit files end."""


def read_circuits(path: Path) -> list[QuantumCircuit]:
    """Read the circuits of a file: one of a ``.qasm`` file (version 2 or 3), as many as there are of a ``.qpy`` file.

    Raises:
        StorageError: the file cannot be read, or is not what its name says.
    """
    try:
        if path.suffix not in SUFFIXES:
            raise ValueError(f"the name must end in {', '.join(sorted(SUFFIXES))}")
        data = read_whole(path)
        return load_circuits(data) if path.suffix == ".qpy" else [_parse_qasm(data.decode("utf-8"), path.stem)]
    except Exception as error:  # the parsers have no common base
        said = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise StorageError(f"cannot read circuits from {path}: {said[:200]}") from error


def _parse_qasm(text: str, name: str) -> Any:
    from qiskit import qasm2, qasm3
    from qiskit.exceptions import MissingOptionalLibraryError

    try:
        if "OPENQASM 2" in text:
            circuit = qasm2.loads(text, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
        else:
            circuit = qasm3.loads(text)
    except MissingOptionalLibraryError as error:
        raise ValueError("OpenQASM 3 needs a reader: pip install qiskit-qasm3-import") from error
    except Exception as error:
        raise ValueError(f"it must be OpenQASM 2 or 3 ({str(error) or type(error).__name__})") from error
    circuit.name = name
    return circuit
