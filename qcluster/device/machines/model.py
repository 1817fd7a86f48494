"""The noise model of a simulator as the figures of a calibration.

The channel behind a gate becomes one number, its average infidelity, as machines publish it. An error before a
measurement is combined with the readout errors. Errors of other operations (resets, gates on three qubits) cannot be
expressed in a calibration and are omitted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from qcluster.core.arrays import Floats


class _Error(NamedTuple):
    """One error of a noise model, for one operation."""

    name: str
    """Name of the operation."""
    places: tuple[tuple[int, ...], ...] | None
    """The qubits it applies to; None: all qubits that have no error of their own."""
    width: int
    """Number of qubits it acts on."""
    content: dict[str, Any]
    """The error as Aer writes it to a dictionary."""


def read_model(noise: Any, n_qubits: int) -> dict[str, Any]:
    """Read the readout errors and gate errors of a Qiskit Aer `NoiseModel` as fields of a `Calibration`.

    Gates without an error have error 0. The couplings are all pairs of qubits in rising order, and a pair in falling
    order if it has an error of its own. The snapshot is a hash of all channels, since different channels may have the
    same infidelity.
    """
    errors = sorted(_errors(noise), key=lambda error: error.places is not None)  # later ones, for given qubits, win
    gates = [error for error in errors if error.content["type"] == "qerror" and error.name != "measure"]
    names = _names(noise.basis_gates, gates)
    falling = {place for error in gates for place in error.places or () if n_qubits > place[0] > place[-1]}
    pairs: list[tuple[int, ...]] = sorted({*combinations(range(n_qubits), 2), *falling}) if names[2] else []
    singles: list[tuple[int, ...]] = [(q,) for q in range(n_qubits)]
    errors_1q, errors_2q = _table(names[1], singles, gates), _table(names[2], pairs, gates)
    return {
        "snapshot": _digest(errors),
        "readout": _readout(errors, n_qubits),
        "gates_1q": names[1], "errors_1q": errors_1q, "durations_1q": np.full(errors_1q.shape, np.nan),
        "couplings": np.array(pairs, dtype=np.int64).reshape(-1, 2),
        "gates_2q": names[2], "errors_2q": errors_2q, "durations_2q": np.full(errors_2q.shape, np.nan),
        "dead_couplings": np.zeros(len(pairs), dtype=bool),
    }  # fmt: skip


def _errors(noise: Any) -> Iterator[_Error]:
    """The errors of a noise model, one for each operation that they apply to."""
    for content in noise.to_dict()["errors"]:
        places = content.get("gate_qubits")
        if content["type"] == "roerror":
            width = int(np.log2(len(content["probabilities"])))
        else:
            width = 1 + max(
                (q for terms in content["instructions"] for term in terms for q in term["qubits"]), default=0
            )
        for name in content["operations"]:
            yield _Error(name, None if places is None else tuple(map(tuple, places)), width, content)


def _digest(errors: list[_Error]) -> str:
    """Hash of a noise model, 16 hexadecimal digits.

    It does not depend on the names and the order of channels: Aer gives each a random name, and lists them in an order
    that differs from process to process.
    """
    channels = sorted(
        repr(
            (
                error.name,
                error.places,
                [_term(instructions).key for instructions in error.content.get("instructions", ())],
                _hashable(error.content["probabilities"]),
            )
        )
        for error in errors
    )
    return hashlib.sha256("".join(channels).encode()).hexdigest()[:16]


def _names(basis: Iterable[str], errors: list[_Error]) -> dict[int, tuple[str, ...]]:
    """Names of the gates on one and on two qubits, by that number: gates of the basis, and gates with an error."""
    from qiskit.circuit.library import get_standard_gate_name_mapping

    widths = {error.name: error.width for error in errors}
    for name, gate in get_standard_gate_name_mapping().items():
        if (name in basis or name in widths) and name not in {"measure", "delay", "reset"}:
            widths[name] = int(gate.num_qubits)
    return {
        width: tuple(sorted(name for name, w in widths.items() if w == width and name != "reset")) for width in (1, 2)
    }


def _table(names: tuple[str, ...], places: list[tuple[int, ...]], errors: list[_Error]) -> Floats:
    """(n_names, n_places) infidelities of gates; 0 where there is no error."""
    table = np.zeros((len(names), len(places)))
    column = {place: i for i, place in enumerate(places)}
    for error in errors:
        affected = places if error.places is None else [place for place in error.places if place in column]
        if error.name in names and affected:
            table[names.index(error.name), [column[place] for place in affected]] = _infidelity(error)
    return table


def _infidelity(error: _Error) -> float:
    """Average infidelity of a channel, 1 - (d F + 1) / (d + 1) with the process fidelity F; NaN if it cannot be read.

    F of a mixture is the mean of the F of its terms. These are cached, since many channels share them.
    """
    terms = zip(error.content["instructions"], error.content["probabilities"], strict=True)
    fidelity = sum(probability * _process_fidelity(_term(term)) for term, probability in terms)
    dim = 2**error.width
    return float(np.clip(1 - (dim * fidelity + 1) / (dim + 1), 0.0, 1.0))


@dataclass(frozen=True)
class _Term:
    """One term of a mixture: a list of instructions, compared and hashed by its key."""

    key: tuple[Any, ...]
    instructions: list[dict[str, Any]] = field(compare=False)


def _term(instructions: list[dict[str, Any]]) -> _Term:
    keys = ((step["name"], *step["qubits"], *map(_hashable, step.get("params", ()))) for step in instructions)
    return _Term(tuple(keys), instructions)


def _hashable(parameter: Any) -> Any:
    return np.asarray(parameter).tobytes() if isinstance(parameter, (np.ndarray, list)) else parameter


@lru_cache(maxsize=4096)
def _process_fidelity(term: _Term) -> float:
    """Process fidelity of a term with the identity; NaN if Aer cannot read it."""
    from qiskit.quantum_info import process_fidelity

    if not term.instructions:
        return 1.0
    content = {"type": "qerror", "id": "", "operations": []}
    channel = _channel({**content, "instructions": [term.instructions], "probabilities": [1.0]})
    return float("nan") if channel is None else float(process_fidelity(channel))


def _channel(content: dict[str, Any]) -> Any:
    """Read a channel; None if Aer cannot read the dictionary that it wrote, or if a term has no instructions."""
    from qiskit_aer.noise import QuantumError
    from qiskit_aer.noise.noiseerror import NoiseError

    try:
        return QuantumError.from_dict(content).to_quantumchannel()
    except (NoiseError, ValueError):  # ValueError: a term without instructions
        return None


def _readout(errors: list[_Error], n_qubits: int) -> Floats:
    """(n_qubits, 2) readout errors, combined with errors that act on the qubit before its measurement."""
    stages = np.tile(np.eye(2), (2, n_qubits, 1, 1))  # before the measurement, and the readout itself
    for error in errors:
        if error.name == "measure" and error.width == 1:
            is_readout = error.content["type"] == "roerror"
            content = error.content
            matrix = np.asarray(content["probabilities"], dtype=float) if is_readout else _populations(content)
            qubits = range(n_qubits) if error.places is None else [q for (q,) in error.places if q < n_qubits]
            stages[int(is_readout), list(qubits)] = matrix
    combined = np.clip(stages[0] @ stages[1], 0.0, 1.0)
    return np.stack([combined[:, 0, 1], combined[:, 1, 0]], axis=1)


def _populations(content: dict[str, Any]) -> Floats:
    """(2, 2) probabilities of |0> and |1> (columns) after the error has acted on |0> and |1> (rows)."""
    from qiskit.quantum_info import DensityMatrix

    channel = _channel(content)
    if channel is None:
        return np.full((2, 2), np.nan)
    return np.array([DensityMatrix.from_label(label).evolve(channel).probabilities() for label in "01"])
