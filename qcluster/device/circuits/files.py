"""Read circuits from users' files: OpenQASM 2, OpenQASM 3 and QPY."""

from __future__ import annotations

import re
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from qcluster.core.counts.read import MOST_BITS
from qcluster.device.circuits.qpy import load_circuits
from qcluster.device.storage import parser_errors
from qcluster.errors import StorageError
from qcluster.files import read_whole

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit

SUFFIXES = {".qasm", ".qasm3", ".qpy"}
"""File name suffixes of circuit files."""
MOST_OPERATIONS = 1_000_000
"""Maximum number of operations of an OpenQASM circuit, with all gates that the file defines expanded."""
MOST_WITHIN = 50_000
"""Maximum number of operations, fully expanded, of all gates that an OpenQASM file defines. The parser of version 3
expands every definition, used or not, at some 5,000 operations per second."""
_DEEPEST = 200
"""Maximum depth of nested gate definitions."""
_COMMENTS = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_VERSION_2 = re.compile(r"\bOPENQASM\s+2\b")
_REGISTER = re.compile(r"\b(?:qreg|creg)\s+(\w+)\s*\[([^][;]*)\]|\b(?:qubit|bit)\s*\[([^][;]*)\]\s*(\w+)")
_WHOLE = re.compile(r"0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|[0-9][0-9_]*")
_GATE = re.compile(r"\bgate\s+(\w+)[^{;]*\{")
_WORD = re.compile(r"\w+")
_UNINDEXED = re.compile(r"\w++(?!\s*\[)")


def read_circuits(path: Path) -> list[QuantumCircuit]:
    """Read the circuits of a file: QPY (``.qpy``), OpenQASM 2 (if the text declares that version) or OpenQASM 3.

    Returns:
        At least one circuit. The circuit of an OpenQASM file is named after the file.

    Raises:
        StorageError: the file cannot be read in the format that its suffix names, includes a file other than the
            standard gates, contains no circuit, or contains one that is too large.
    """
    try:
        if path.suffix not in SUFFIXES:
            raise ValueError(f"the name must end in {', '.join(sorted(SUFFIXES))}")
        content = read_whole(path)
        if not content.strip():
            raise ValueError("it is empty")
        circuits = load_circuits(content) if path.suffix == ".qpy" else [parse_qasm(content.decode("utf-8-sig"))]
    except (OSError, ValueError) as error:  # no such file, not text, or no valid circuit
        reason = getattr(error, "strerror", None) or error
        raise StorageError(f"cannot read circuits from {path}: {reason}") from error
    if not circuits:
        raise StorageError(f"cannot read circuits from {path}: it holds none")
    if path.suffix != ".qpy":
        circuits[0].name = path.stem
    return circuits


def parse_qasm(text: str) -> QuantumCircuit:
    """Parse OpenQASM 2 (if the text declares that version) or OpenQASM 3. Only the standard gates may be included.

    Raises:
        ValueError: the text is not valid OpenQASM, includes another file, or exceeds a limit of this module.
    """
    from qiskit import qasm2, qasm3

    _check_size(text)
    if _VERSION_2.search(_COMMENTS.sub(" ", text)):
        with parser_errors("OpenQASM 2, with no include but qelib1.inc"):
            return qasm2.loads(text, include_path=(), custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    if find_spec("qiskit_qasm3_import") is None:
        raise ValueError("OpenQASM 3 needs a reader: pip install qiskit-qasm3-import")
    with parser_errors("OpenQASM 2 or 3, with no include but the standard gates"):
        return qasm3.loads(text)


def _check_size(text: str) -> None:
    """Refuse text that would expand to too large a circuit, before a parser expands it.

    Such are registers beyond any machine, and gates that each use the previous one twice, doubling at every level.
    """
    code = _COMMENTS.sub(" ", text)
    registers = {old or new: _largest(size or length) for old, size, length, new in _REGISTER.findall(code)}
    declared = sum(registers.values())
    if declared > MOST_BITS:
        raise ValueError(
            f"its registers must have {MOST_BITS:,} bits together, or fewer; they have {min(declared, 10**99):.6g}"
        )
    sizes: dict[str, int] = {}
    levels: dict[str, int] = {}
    outside, start = [], 0
    while definition := _GATE.search(code, start):
        name, end = definition[1], _closing(code, definition.end())
        body = [_WORD.findall(statement) for statement in code[definition.end() : end].split(";") if statement.strip()]
        levels[name] = 1 + max((levels.get(word, 0) for words in body for word in words), default=0)
        sizes[name] = sum(max(1, sum(sizes.get(word, 0) for word in words)) for words in body)
        if levels[name] > _DEEPEST:
            raise ValueError(f"its gates must be nested in {_DEEPEST} levels or fewer")
        outside.append(code[start : definition.start()])
        start = end + 1
    if sum(sizes.values()) > MOST_WITHIN:
        raise ValueError(f"the gates it defines must have {MOST_WITHIN:,} operations or fewer, written out")
    total = 0.0
    for statement in "".join([*outside, code[start:]]).split(";"):
        size = max(1, sum(sizes.get(word, 0) for word in _WORD.findall(statement)))
        total += size * max((registers.get(word, 1) for word in _UNINDEXED.findall(statement)), default=1)
    if total > MOST_OPERATIONS:
        raise ValueError(f"it must have {MOST_OPERATIONS:,} operations or fewer, its gates written out")


def _largest(size: str) -> float:
    """Return the size of a register; for an expression of several numbers, a bound on it, which is infinite if large.

    The product of all numbers plus 1 bounds every sum, difference, product and quotient of them.
    """
    numbers = [int(text, 0 if text[1:2].isalpha() else 10) for text in _WHOLE.findall(size)]
    return numbers[0] if len(numbers) == 1 else prod(min(number, MOST_BITS) + 1.0 for number in numbers)


def _closing(code: str, start: int) -> int:
    """Return the position of the brace that closes the one just before `start`, or the end of the text."""
    depth = 1
    for brace in re.finditer(r"[{}]", code[start:]):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return start + brace.start()
    return len(code)
