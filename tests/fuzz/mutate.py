"""Strategies that break things: JSON values nobody expects, documents with a part exchanged, damaged bytes."""

import copy
import json
from typing import Any

from hypothesis import strategies as st

ODD_NUMBERS = [0, -1, 1, 2**31, 2**63, -(2**63), 2**64, 10**30, 1e308, -1e-308, float("nan"), float("inf"), 0.5]
ODD_TEXTS = ["", "0", "01", "0x", "0b", "0x1f", "0b2", "1" * 200, "\x00", "é", "𝟘𝟙", "0 1", " ", "../..", "nan", "inf"]
ODD_KEYS = ["format", "version", "counts", "ideal", "__type__", "__value__", "__module__", "id", "n_bits", "shots"]
ODD_TYPES = ["BitArray", "ndarray", "DataBin", "PrimitiveResult", "SamplerPubResult", "datetime", "set", "settings"]

leaves = st.one_of(
    st.sampled_from([None, True, False, *ODD_NUMBERS, *ODD_TEXTS, *ODD_TYPES]),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=12),
    st.text("01", max_size=12),
)
keys = st.one_of(st.sampled_from(ODD_KEYS + ODD_TEXTS), st.text("01", min_size=1, max_size=6), st.text(max_size=6))
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=10
)
"""Any JSON value, odd ones first."""


def text_of(value: Any) -> str:
    """JSON text, NaN and infinities as Python writes them."""
    return json.dumps(value)


def nested(depth: int, kind: str = "[") -> str:
    """A document that is nothing but brackets."""
    return {"[": "[" * depth + "]" * depth, "{": '{"a":' * depth + "1" + "}" * depth, "open": "[" * depth}[kind]


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something can be exchanged."""
    found = [path]
    if isinstance(document, dict):
        for key, value in document.items():
            found += places(value, (*path, key))
    elif isinstance(document, list):
        for place, value in enumerate(document[:6]):
            found += places(value, (*path, place))
    return found


@st.composite
def exchanged(draw: Any, document: Any) -> Any:
    """A document with one to three parts exchanged, taken out, or put in."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(changed)))
        if not path:
            if draw(st.integers(0, 9)) == 0:
                return draw(values)
            continue
        parent = changed
        for step in path[:-1]:
            parent = parent[step]
        how = draw(st.sampled_from(["exchange", "exchange", "drop", "add"]))
        if how == "drop":
            del parent[path[-1]]
        elif how == "add" and isinstance(parent, dict):
            parent[draw(keys)] = draw(values)
        elif how == "add":
            parent.insert(0, draw(values))
        else:
            parent[path[-1]] = draw(values)
    return changed


@st.composite
def damaged(draw: Any, content: bytes) -> bytes:
    """Bytes cut short, overwritten, doubled or filled in at one to four places."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.sampled_from([1, 2, 8, 64]))
        how = draw(st.sampled_from(["cut", "overwrite", "take", "double", "insert"]))
        if how == "cut":
            del data[at:]
        elif how == "overwrite":
            data[at : at + length] = draw(st.binary(min_size=1, max_size=length))
        elif how == "take":
            del data[at : at + length]
        elif how == "double":
            data[at:at] = data[at : at + length]
        else:
            data[at:at] = draw(
                st.sampled_from([b"\x00", b"\xff\xfe", b"\n", b",", b'"', b"[" * 64, b"9" * 64, b"1e999"])
            )
    return bytes(data)


def files(document: Any) -> st.SearchStrategy[bytes]:
    """A JSON file: any value, a valid document with parts exchanged, or damaged bytes of it."""
    whole = text_of(document).encode()
    return st.one_of(
        exchanged(document).map(lambda value: text_of(value).encode()),
        damaged(whole),
        values.map(lambda value: text_of(value).encode()),
        st.binary(max_size=40),
        st.sampled_from([nested(n, kind).encode() for n in (100, 100_000) for kind in ("[", "{", "open")]),
        st.sampled_from(
            [b'{"00": 1, "00": 2}', b"\xef\xbb\xbf{}", b"", b"{", b"9" * 5000, b'{"0":' + b"9" * 5000 + b"}"]
        ),
    )
