"""Circuits that users hand over: OpenQASM 2, OpenQASM 3 and QPY files."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from qcluster.device.circuits.qpy import load_circuits
from qcluster.device.storage import parsing
from qcluster.errors import StorageError
from qcluster.files import read_whole

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

SUFFIXES = {".qasm", ".qasm3", ".qpy"}
"""How the names of circuit files end."""
MOST_OPERATIONS = 1_000_000
"""Most operations of an OpenQASM circuit, those within its gates counted each time the gate is used."""
MOST_WITHIN = 50_000
"""Most operations of all gates that an OpenQASM file defines, those of the gates within them counted too: a parser of
version 3 writes them out, used or not, some 5,000 in a second."""
MOST_BITS = 100_000
"""Most bits, quantum and classical, that the registers of an OpenQASM file may declare."""

_DEEPEST = 200
"""Most levels of gates within gates."""
_COMMENTS = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_VERSION_2 = re.compile(r"\bOPENQASM\s+2\b")
_REGISTER = re.compile(r"\b(?:qreg|creg)\s+(\w+)\s*\[\s*(\d+)\s*\]|\b(?:qubit|bit)\s*\[\s*(\d+)\s*\]\s*(\w+)")
_GATE = re.compile(r"\bgate\s+(\w+)[^{;]*\{")
_WORD = re.compile(r"\w+")
_UNINDEXED = re.compile(r"\w++(?!\s*\[)")


def read_circuits(path: Path) -> list[QuantumCircuit]:
    """Read the circuits of a file, at least one: ``.qpy``, or else OpenQASM 2 (which must say so) or 3.

    Raises:
        StorageError: the file cannot be read as what its name says, includes another file than the standard gates,
            holds no circuit, or one that is too large.
    """
    try:
        if path.suffix not in SUFFIXES:
            raise ValueError(f"the name must end in {', '.join(sorted(SUFFIXES))}")
        content = read_whole(path)
        if not content.strip():
            raise ValueError("it is empty")
        circuits = load_circuits(content) if path.suffix == ".qpy" else [parse_qasm(content.decode("utf-8-sig"))]
    except (OSError, ValueError) as error:  # not there, no text, no circuit
        said = getattr(error, "strerror", None) or error
        raise StorageError(f"cannot read circuits from {path}: {said}") from error
    if not circuits:
        raise StorageError(f"cannot read circuits from {path}: it holds none")
    if path.suffix != ".qpy":
        circuits[0].name = path.stem
    return circuits


def parse_qasm(text: str) -> QuantumCircuit:
    """Read a circuit from OpenQASM 2 (which must say so) or 3. No file but the standard gates is included.

    Raises:
        ValueError: the text is neither, or declares or includes what it may not.
    """
    from qiskit import qasm2, qasm3

    _check_size(text)
    if _VERSION_2.search(_COMMENTS.sub(" ", text)):
        with parsing("OpenQASM 2, with no include but qelib1.inc"):
            return qasm2.loads(text, include_path=(), custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    if find_spec("qiskit_qasm3_import") is None:
        raise ValueError("OpenQASM 3 needs a reader: pip install qiskit-qasm3-import")
    with parsing("OpenQASM 2 or 3, with no include but the standard gates"):
        return qasm3.loads(text)


def _check_size(text: str) -> None:
    """Refuse what would become too large, before a parser writes it out: registers beyond any machine, and gates that
    use the one before them twice, and so double at each level."""
    code = _COMMENTS.sub(" ", text)
    registers = {old or new: int(size or length) for old, size, length, new in _REGISTER.findall(code)}
    declared = sum(registers.values())
    if declared > MOST_BITS:
        raise ValueError(f"its registers must have {MOST_BITS:,} bits together, or fewer; they have {declared:.6g}")
    sizes: dict[str, int] = {}
    levels: dict[str, int] = {}
    outside, start = [], 0
    while found := _GATE.search(code, start):
        end = _closing(code, found.end())
        used = [_WORD.findall(statement) for statement in code[found.end() : end].split(";") if statement.strip()]
        levels[found[1]] = 1 + max((levels.get(word, 0) for words in used for word in words), default=0)
        sizes[found[1]] = sum(max(1, sum(sizes.get(word, 0) for word in words)) for words in used)
        if levels[found[1]] > _DEEPEST:
            raise ValueError(f"its gates must be nested in {_DEEPEST} levels or fewer")
        outside.append(code[start : found.start()])
        start = end + 1
    if sum(sizes.values()) > MOST_WITHIN:
        raise ValueError(f"the gates it defines must have {MOST_WITHIN:,} operations or fewer, written out")
    total = 0
    for statement in "".join([*outside, code[start:]]).split(";"):
        once = max(1, sum(sizes.get(word, 0) for word in _WORD.findall(statement)))
        total += once * max((registers.get(word, 1) for word in _UNINDEXED.findall(statement)), default=1)
    if total > MOST_OPERATIONS:
        raise ValueError(f"it must have {MOST_OPERATIONS:,} operations or fewer, its gates written out")


def _closing(code: str, start: int) -> int:
    """Find the brace that closes the one before `start`; the end where there is none."""
    depth = 1
    for brace in re.finditer(r"[{}]", code[start:]):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return start + brace.start()
    return len(code)
