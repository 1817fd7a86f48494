"""Find counts inside the wrappers of services and older results; where they are ambiguous, say what to pass instead."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_WRAPPERS = ("results", "data", "counts", "samples", "memory", "quasi_dists", "quasi_dist")
"""Keys of wrappers. They are not bitstrings, so counts never have them."""

_SAMPLE = re.compile("0[xX][0-9a-fA-F]+|(?:0[bB])?[01]+")
"""A valid shot of a register; `int` accepts more, such as "1_0" and "-1"."""

_QUASI = (
    "quasi-distributions have no shots, and may be negative: convert them to counts first, "
    "{key: p * shots for key, p in quasi.nearest_probability_distribution().binary_probabilities(n_bits).items()}, or "
    "mitigate the counts that they were made from"
)


Inner = tuple[Any, int | None]
"""A mapping of counts or a list of shots, and the number of bits if a wrapper states it."""


def is_wrapped(source: Any) -> bool:
    """Return whether a mapping is a wrapper that holds counts at a deeper level."""
    return any(name in source for name in _WRAPPERS)


def describe_format(document: Mapping[str, Any]) -> str:
    """Describe the format of a qcluster document that is not counts, and how to use it if it contains some."""
    cure = ": mitigate takes qcluster.Run.from_json(text)" if document["format"] == "qcluster-run" else ""
    return f"of the format {document['format']}{cure}"


def unwrap(source: Mapping[str, Any], width: int | None = None, order: Sequence[str] = ()) -> Inner:
    """Find the counts inside a mapping.

    Three layouts are recognised: the response of IBM's REST interface to a Sampler job (``results``, ``data``, a
    register, ``samples``; several registers if ``creg_sizes`` in a header or ``field_names`` orders them, or if all but
    one have no bits), ``Result.to_dict()`` (``results``, ``data``, ``counts`` or ``memory``), and counts under
    ``"counts"`` or ``"data"``.

    Args:
        source: the mapping.
        width: number of bits, as stated by an outer wrapper.
        order: names of the registers, the least significant first, as stated by an outer wrapper.

    Raises:
        ValueError: the mapping holds several sets of counts, quasi-distributions or a failed experiment; the message
            says what to pass instead.
        TypeError: it holds something else.

    Example:
        >>> unwrap({"results": [{"data": {"c": {"samples": ["0x3", "0x0"], "num_bits": 2}}}]})
        (['0x3', '0x0'], 2)
    """
    order = _order_of(source) or order
    if sum(isinstance(inner, Mapping) and "samples" in inner for inner in source.values()) > 1:
        return _joined(source, order)  # registers, one of which may be called "data" or "counts"
    if "quasi_dists" in source or "quasi_dist" in source:
        raise ValueError(_QUASI)
    header = source.get("header")
    if isinstance(header, Mapping):
        slots = header.get("memory_slots", width_of_registers(header.get("creg_sizes")))
        width = width if slots is None else slots
    width = stated_width(source, width)
    for name in ("counts", "samples", "memory"):
        if name in source:
            inner = source[name]
            if isinstance(inner, Mapping) and is_wrapped(inner):
                return unwrap(inner, width, order)
            if not isinstance(inner, (Mapping, list, tuple)):
                raise TypeError(f"{name!r} must hold counts or shots; got {type(inner).__name__}")
            return list(inner) if isinstance(inner, tuple) else inner, width
    if "results" in source:
        return _single_result(source["results"], width, order)
    return _register(source["data"], width, order)


def stated_width(source: Mapping[str, Any], otherwise: int | None = None) -> Any:
    """Return the number of bits stated beside counts, as ``num_bits`` or ``n_bits``; else `otherwise`."""
    widths = [source[name] for name in ("num_bits", "n_bits") if source.get(name) is not None]
    if widths and widths[0] != widths[-1]:
        raise ValueError(f"num_bits and n_bits must be one number; got {widths[0]!r:.40} and {widths[-1]!r:.40}")
    return widths[0] if widths else otherwise


def width_of_registers(sizes: Any) -> int | None:
    """Add up the sizes of classical registers, ``[[name, size], ...]``; None if `sizes` has another form."""
    if not isinstance(sizes, (list, tuple)) or not sizes:
        return None
    pairs = [pair for pair in sizes if isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[1], int)]
    return sum(size for _, size in pairs) if len(pairs) == len(sizes) else None


def _order_of(source: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the register names in the order that a wrapper states; empty if it states none."""
    header = source.get("header")
    sizes = header.get("creg_sizes") if isinstance(header, Mapping) else None
    if isinstance(sizes, (list, tuple)):
        return tuple(str(pair[0]) for pair in sizes if isinstance(pair, (list, tuple)) and pair)
    names = source.get("field_names")
    return tuple(map(str, names)) if isinstance(names, (list, tuple)) else ()


def _single_result(results: Any, width: int | None, order: Sequence[str]) -> Inner:
    if not isinstance(results, (list, tuple)) or not all(isinstance(result, Mapping) for result in results):
        raise TypeError(f"'results' must be a list of objects; got {type(results).__name__}")
    if not results:
        raise ValueError("a result must hold the counts of one circuit; got none")
    if len(results) > 1:
        raise ValueError(f"a result of {len(results)} circuits holds several sets of counts: pass one, ['results'][0]")
    (result,) = results
    if result.get("success") is False:
        raise ValueError(f"the experiment failed, and holds no counts: {str(result.get('status', 'unknown'))[:80]}")
    return unwrap(result, width, order) if is_wrapped(result) else (result, width)


def _register(data: Any, width: int | None, order: Sequence[str]) -> Inner:
    if isinstance(data, (list, tuple)):
        return list(data), width
    if not isinstance(data, Mapping):
        raise TypeError(f"'data' must hold counts or registers; got {type(data).__name__}")
    registers = [inner for inner in data.values() if isinstance(inner, Mapping) and is_wrapped(inner)]
    if len(data) == len(registers) == 1:
        return unwrap(registers[0], width, order)
    if is_wrapped(data):
        return unwrap(data, width, order)
    return _joined(data, order) if registers else (data, width)


def _joined(data: Mapping[str, Any], order: Sequence[str]) -> Inner:
    """Join the shots of several registers, in the order of `order`: a JSON object itself has no order."""
    wide = {name: register for name, register in data.items() if _width(register) != 0}
    if len(wide) == 1 and all(isinstance(register, Mapping) for register in wide.values()):
        return unwrap(*wide.values())
    if not set(wide) <= set(order):
        first = next(iter(wide), next(iter(data)))
        raise ValueError(
            f"the registers {', '.join(map(str, data))} have no order in JSON: pass one, "
            f"['data'][{first!r}], or the job's own result, which knows it"
        )
    columns: list[list[str]] = []
    for name in order:
        if name not in wide:
            continue
        width = _width(wide[name])
        samples = None if width is None else wide[name].get("samples")
        if not isinstance(width, int) or isinstance(width, bool) or width < 0 or not isinstance(samples, (list, tuple)):
            raise TypeError(f"register {name!r} must hold 'samples', a list, and 'num_bits', a whole number")
        columns.insert(0, [f"{_number(name, sample, width):0{width}b}" for sample in samples])
        if len(columns[0]) != len(columns[-1]):
            sizes = f"{name!r} holds {len(columns[0])}, not {len(columns[-1])}"
            raise ValueError(f"registers must hold equally many shots; {sizes}")
    shots = ["".join(parts) for parts in zip(*columns, strict=True)]
    return shots, sum(map(_width, wide.values()))


def _width(register: Any) -> Any:
    return stated_width(register) if isinstance(register, Mapping) else None


def _number(name: str, sample: Any, width: int) -> int:
    if not isinstance(sample, str) or not _SAMPLE.fullmatch(sample):
        raise ValueError(f"samples of register {name!r} must be '0x...' or bits; got {sample!r:.40}")
    value = int(sample, 16 if sample[:2].lower() == "0x" else 2)
    if value >= 1 << width:
        raise ValueError(f"samples of register {name!r} must have {width} bits; got {sample!r:.40}")
    return value
