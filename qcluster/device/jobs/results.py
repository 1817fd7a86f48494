"""Results of jobs: written so that they can be read back exactly, and checked against the request."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qcluster.core.counts.distribution import Distribution
from qcluster.core.words import plural
from qcluster.device.runtime_options import served_shots

if TYPE_CHECKING:
    from qcluster.device.request import Prepared, Request

Places = Sequence[tuple[int, int]]
"""The PUBs of a job, each by the indices of its circuit and twirl."""


def encode_result(result: Any, request: Request, part: int) -> str:
    """Write the result of a part as the runtime's RuntimeEncoder does, marked with the request that it belongs to.

    Metadata of a type that the encoder does not know, such as the timing of the executor, are written as their fields
    or as text, so that they never prevent the shots from being saved.
    """
    from qiskit_ibm_runtime import RuntimeEncoder

    class Encoder(RuntimeEncoder):  # type: ignore[misc]
        def default(self, obj: Any) -> Any:
            try:
                return super().default(obj)
            except TypeError:
                if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
                    return {field.name: getattr(obj, field.name) for field in dataclasses.fields(obj)}
                return str(obj)

    mark = {"request": request.id, "part": part}
    if hasattr(result, "metadata") and isinstance(result.metadata, dict):
        from qiskit.primitives import PrimitiveResult

        result = PrimitiveResult(list(result), metadata={**result.metadata, "qcluster": mark})
    return json.dumps(result, cls=Encoder)


def mark_of(result: Any) -> dict[str, Any]:
    """Return the mark that `encode_result` put on a result; empty if it has none."""
    mark = result.metadata.get("qcluster") if isinstance(getattr(result, "metadata", None), dict) else None
    return mark if isinstance(mark, dict) else {}


def began(result: Any) -> str:
    """Return the time at which the first circuit of a job ran, ISO 8601; empty if the executor did not record it."""
    try:
        spans = result.metadata["executor"]["chunk_timing"]
        start = min(datetime.datetime.fromisoformat(str(span["start"])) for span in spans)
    except (AttributeError, LookupError, TypeError, ValueError):
        return ""
    return "" if start.tzinfo is None else start.astimezone(datetime.UTC).isoformat(timespec="seconds")


def find_mismatch(result: Any, request: Request, places: Places) -> str:
    """Say why a result cannot belong to these circuits; empty if it can.

    It must have a PUB for each circuit, with the registers of the circuit and the requested number of shots.
    """
    if not hasattr(result, "metadata") or not hasattr(result, "__len__") or len(result) != len(places):
        came = plural(len(result), "result") if hasattr(result, "__len__") else f"a {type(result).__name__}"
        return f"must hold the results of {plural(len(places), 'circuit')}; it holds {came}"
    for number, ((circuit, twirl), pub) in enumerate(zip(places, result, strict=True)):
        mismatch = _find_pub_mismatch(pub, request, request.prepared[circuit], twirl)
        if mismatch:
            return f"result {number}, of circuit {request.prepared[circuit].profile.name!r}, {mismatch}"
    return ""


def _find_pub_mismatch(pub: Any, request: Request, prepared: Prepared, twirl: int) -> str:
    """Say why a PUB result cannot belong to a circuit; empty if it can."""
    data = getattr(pub, "data", None)
    try:
        widths = {name: register.num_bits for name, register in data.items()}  # type: ignore[union-attr]
        shots = {register.num_shots for register in data.values()}  # type: ignore[union-attr]
    except (AttributeError, TypeError, ValueError):
        return "must hold registers of bits"
    wanted = dict(prepared.profile.registers) if request.kind == "hardware" else {"all": prepared.profile.n_bits}
    if widths != wanted:
        return f"must have the registers {wanted}; got {widths}"
    served = served_shots(request.options) if request.kind == "hardware" else None
    wanted_shots = prepared.shots[twirl] if served is None else served
    if shots != {wanted_shots}:
        return f"must have {plural(wanted_shots, 'shot')}; got {', '.join(map(str, sorted(shots))) or 'none'}"
    return ""


def read_pub(pub: Any, prepared: Prepared) -> Distribution:
    """Read the counts of a circuit, its first register lowest, in whatever order the result lists the registers."""
    from qiskit.primitives import DataBin

    names = [name for name, _ in prepared.profile.registers if name in pub.data]
    return Distribution.of(DataBin(**{name: pub.data[name] for name in names or pub.data}))  # a simulation has "all"
