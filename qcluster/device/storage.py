"""JSON documents: formats, versions, floats, and clear errors for documents and parsers that fail."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime
import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats
from qcluster.core.checks import real_array
from qcluster.errors import StorageError
from qcluster.files import FaultyContent, parse_json, read_whole


def load_text(path: Path) -> str:
    """Read a text file; StorageError if it cannot be read, ValueError if it is not text or far too large."""
    with reading(path):
        return read_whole(path).decode("utf-8-sig")


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the error of a file that cannot be opened, because it is missing for instance, into StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error


@contextlib.contextmanager
def of_file(path: str | Path) -> Iterator[None]:
    """Prefix the message of a ValueError with the name of the file it is about."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def encode_floats(values: Iterable[float]) -> list[float | str | None]:
    """Make floats fit for JSON, which has no NaN and no infinities: NaN (unknown) becomes null, infinities text."""
    return [None if math.isnan(v) else v if math.isfinite(v) else str(float(v)) for v in map(float, values)]


def decode_floats(values: Iterable[float | str | None]) -> Floats:
    """Undo `encode_floats`; TypeError for anything else."""
    named = {None: math.nan, "inf": math.inf, "-inf": -math.inf}
    return real_array("figures", [named.get(v, v) if v is None or isinstance(v, str) else v for v in values])


_ARRAYS = {"b": ("true and false", "b"), "i": ("whole numbers", "iu"), "f": ("numbers", "iuf")}
"""Kinds of arrays: what they hold, in words, and the kinds of NumPy that are read as such."""


def read_array(name: str, value: Any, kind: str) -> npt.NDArray[Any]:
    """Read an array of a document, of kind "b", "i" or "f"; ValueError for values that NumPy would convert."""
    array, (words, kinds) = np.array(value), _ARRAYS[kind]
    if array.size and array.dtype.kind not in kinds:
        raise ValueError(f"{name} must be {words}; got {value!r:.60}")
    return array.astype({"b": np.bool_, "i": np.int64, "f": np.float64}[kind])


def _is_real(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_PLAIN: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "str": ("a text", lambda value: isinstance(value, str)),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "int": ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "float": ("a number", _is_real),
    "float | None": ("a number or null", lambda value: value is None or _is_real(value)),
    "tuple[str, ...]": (
        "a list of texts",
        lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    ),
    "dict[str, Any]": ("an object", lambda value: isinstance(value, dict)),
    "dict[str, str]": (
        "an object of texts",
        lambda value: isinstance(value, dict) and all(isinstance(item, str) for item in value.values()),
    ),
}
"""Annotations of fields, each with what the values of a document must be, in words and as a test."""


def check_plain(kind: type, content: Mapping[str, Any]) -> None:
    """Check the values of a document that become fields of a dataclass, unless they are arrays or documents themselves.

    Raises:
        KeyError: a field without a default is missing.
        ValueError: a value is not of the kind that the annotation of its field names.
    """
    for field in dataclasses.fields(kind):
        words, fits = _PLAIN.get(str(field.type), ("", None))
        is_older = field.name not in content and field.default is not dataclasses.MISSING
        if fits is not None and not is_older and not fits(content[field.name]):
            raise ValueError(f"{field.name} must be {words}; got {content[field.name]!r:.60}")


def write_document(record: Any, name: str, version: int, leave: Collection[str] = (), **otherwise: Any) -> str:
    """Write a dataclass as a JSON document of its fields, in order.

    Arrays become lists, bytes become base64, and an object with a `to_json` becomes the document that it writes.

    Args:
        record: the dataclass.
        name: name of the format.
        version: version of the format.
        leave: fields that are left out.
        **otherwise: values to write for some fields in place of those of the record.

    Raises:
        ValueError: a number is not finite.
    """
    names = [field.name for field in dataclasses.fields(record) if field.name not in leave]
    content = {name: otherwise.get(name, getattr(record, name)) for name in names}
    return json.dumps({"format": name, "version": version, **content}, allow_nan=False, default=_to_plain)


def _to_plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else json.loads(value.to_json())


def check_format(text: str, name: str, version: int) -> Mapping[str, Any]:
    """Parse a JSON document; ValueError if its format is not `name`, or its version is newer than `version`."""
    try:
        content = parse_json(text, strict=True)
    except FaultyContent as err:
        raise ValueError(f"in a {name} JSON document {err}") from err
    except ValueError as err:
        raise ValueError(f"expected a {name} JSON document; got {text[:40]!r}") from err
    if not isinstance(content, dict) or content.get("format") != name:
        raise ValueError(f"expected a {name} JSON document; got {text[:40]!r}")
    if not isinstance(content.get("version"), int) or isinstance(content["version"], bool) or content["version"] < 1:
        raise ValueError(
            f"the version of a {name} must be a whole number of at least 1; got {content.get('version')!r:.60}"
        )
    if content["version"] > version:
        raise ValueError(f"{name} version {content['version']} is newer than this qcluster reads ({version}): upgrade")
    return content


def check_time(name: str, text: str) -> None:
    """Check that a text is a time with an offset from UTC, which can be compared with other times; else ValueError."""
    try:
        has_offset = datetime.datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        has_offset = False
    if not has_offset:
        raise ValueError(f"{name} must be a time with its offset from UTC, ISO 8601; got {text!r:.60}")


@contextlib.contextmanager
def document_errors(name: str) -> Iterator[None]:
    """Turn the errors of a document that lacks a part, or has one of the wrong type, into ValueError."""
    try:
        yield
    except KeyError as err:
        raise ValueError(f"a {name} must have {err}, which is missing") from err
    except (TypeError, AttributeError, IndexError, OverflowError) as err:
        raise ValueError(f"a part of the {name} is not what it should be: {err}") from err


@contextlib.contextmanager
def replacing_errors(say: Callable[[str], Exception]) -> Iterator[None]:
    """Replace any error of Qiskit or Aer by the one that `say` makes from the first line of its message.

    Their errors have no common base class, and their parts in Rust may panic.
    """
    try:
        yield
    except BaseException as err:  # a panic is not an Exception, and its type cannot be imported
        panic = type(err).__name__ == "PanicException"
        if isinstance(err, Warning) or not (panic or isinstance(err, Exception)):
            raise
        text = str(getattr(err, "message", "") or err).strip().strip("'\"")
        raise say(f"{(text.splitlines() or [''])[0] or type(err).__name__:.200}") from err


@contextlib.contextmanager
def parser_errors(name: str) -> Iterator[None]:
    """Turn any error of Qiskit's parsers into ValueError."""
    with replacing_errors(lambda said: ValueError(f"it must be {name}; its parser says {said}")):
        yield
