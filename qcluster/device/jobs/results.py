"""Results of jobs: written so that they read back exactly, and checked against what was asked for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qcluster.core.words import many
from qcluster.device.runtime_options import served_shots

if TYPE_CHECKING:
    from qcluster.device.request import Prepared, Request

Places = Sequence[tuple[int, int]]
"""What a job runs: (circuit, twirl) of each of its PUBs."""


def encode_result(result: Any, request: Request, part: int) -> str:
    """Write the result of a part as the runtime's RuntimeEncoder does, with a mark of the run that it belongs to.

    What came beside the shots and is of no kind that JSON knows, such as the timing of the executor, is written as its
    fields, or as text: no shot is lost for the sake of a remark.
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


def marked(result: Any) -> dict[str, Any]:
    """Give the mark of a result, empty where it has none."""
    mark = result.metadata.get("qcluster") if isinstance(getattr(result, "metadata", None), dict) else None
    return mark if isinstance(mark, dict) else {}


def find_mismatch(result: Any, request: Request, places: Places) -> str:
    """Tell in words why a result cannot be that of these circuits; empty where it can.

    It must have a PUB for each circuit, with the registers of the circuit and the shots that were asked for.
    """
    if not hasattr(result, "metadata") or not hasattr(result, "__len__") or len(result) != len(places):
        came = many(len(result), "result") if hasattr(result, "__len__") else f"a {type(result).__name__}"
        return f"must hold the results of {many(len(places), 'circuit')}; it holds {came}"
    for number, ((circuit, twirl), pub) in enumerate(zip(places, result, strict=True)):
        wrong = _mismatch(pub, request, request.prepared[circuit], twirl)
        if wrong:
            return f"result {number}, of circuit {request.prepared[circuit].profile.name!r}, {wrong}"
    return ""


def _mismatch(pub: Any, request: Request, prepared: Prepared, twirl: int) -> str:
    data = getattr(pub, "data", None)
    try:
        widths = {name: int(register.num_bits) for name, register in data.items()}  # type: ignore[union-attr]
        counted = {int(register.num_shots) for register in data.values()}  # type: ignore[union-attr]
    except (AttributeError, TypeError, ValueError):
        return "must hold registers of bits"
    wanted = dict(prepared.profile.registers) if request.kind == "hardware" else {"all": prepared.profile.n_bits}
    if widths != wanted:
        return f"must have the registers {wanted}; got {widths}"
    served = served_shots(request.options) if request.kind == "hardware" else None
    shots = prepared.shots[twirl] if served is None else served
    if counted != {shots}:
        return f"must have {many(shots, 'shot')}; got {', '.join(map(str, sorted(counted))) or 'none'}"
    return ""
