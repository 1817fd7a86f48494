"""Documents on disk: frozen arrays, floats in JSON, formats and versions."""

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

from qcluster.core.arrays import Floats
from qcluster.errors import StorageError
from qcluster.files import FaultyContent, parse_json, read_whole


def load_text(path: Path) -> str:
    """Read a text file; StorageError where it cannot be read, ValueError where it is no text or far too large."""
    try:
        return read_whole(path).decode("utf-8-sig")
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error


@contextlib.contextmanager
def of_file(path: str | Path) -> Iterator[None]:
    """Put the name of the file before what is wrong with what it holds."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def encode_floats(values: Iterable[float]) -> list[float | str | None]:
    """Turn floats into JSON: NaN (unknown) becomes null, infinities "inf" and "-inf", which JSON itself lacks."""
    return [None if math.isnan(v) else v if math.isfinite(v) else str(float(v)) for v in map(float, values)]


def decode_floats(values: Iterable[float | str | None]) -> Floats:
    """Read what `encode_floats` wrote."""
    return np.array([math.nan if v is None else float(v) for v in values], dtype=np.float64)


def write_document(record: Any, name: str, version: int, leave: Collection[str] = (), **otherwise: Any) -> str:
    """Write a dataclass as a JSON document: its fields in order, without those to `leave`, others as given `otherwise`.

    Arrays become lists, bytes base64, and what has a `to_json` of its own the document that this gives. ValueError
    where a number is not finite.
    """
    names = [field.name for field in dataclasses.fields(record) if field.name not in leave]
    content = {name: otherwise.get(name, getattr(record, name)) for name in names}
    return json.dumps({"format": name, "version": version, **content}, allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else json.loads(value.to_json())


def check_format(text: str, name: str, version: int) -> Mapping[str, Any]:
    """Parse JSON and check that it is what it should be and not newer than this code; ValueError where not."""
    try:
        content = parse_json(text, strict=True)
    except FaultyContent as err:
        raise ValueError(f"in a {name} JSON document {err}") from err
    except ValueError as err:
        raise ValueError(f"expected a {name} JSON document; got {text[:40]!r}") from err
    if not isinstance(content, dict) or content.get("format") != name:
        raise ValueError(f"expected a {name} JSON document; got {text[:40]!r}")
    if not isinstance(content.get("version"), int) or isinstance(content["version"], bool) or content["version"] < 1:
        raise ValueError(f"a {name} needs a version, a whole number; got {content.get('version')!r}")
    if content["version"] > version:
        raise ValueError(f"{name} version {content['version']} is newer than this qcluster reads ({version}): upgrade")
    return content


def check_time(name: str, text: str) -> None:
    """Check that a text is a time that others can be compared with; ValueError where not."""
    try:
        placed = datetime.datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        placed = False
    if not placed:
        raise ValueError(f"{name} must be a time with its offset from UTC, ISO 8601; got {text!r:.60}")


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what goes wrong where a document lacks a part, or has it of another kind, into ValueError."""
    try:
        yield
    except KeyError as err:
        raise ValueError(f"a {name} must have {err}; it is not there") from err
    except (TypeError, AttributeError, IndexError, OverflowError) as err:
        raise ValueError(f"a part of the {name} is not what it should be: {err}") from err


@contextlib.contextmanager
def dressing(say: Callable[[str], Exception]) -> Iterator[None]:
    """Turn whatever Qiskit or Aer raise into an error of ours, made by `say` from the first line of what was raised:
    they have no common base, and parts in Rust may panic."""
    try:
        yield
    except BaseException as err:  # a panic is no Exception, and its type has no module to import it from
        panic = type(err).__name__ == "PanicException"
        if isinstance(err, Warning) or not (panic or isinstance(err, Exception)):
            raise
        text = str(getattr(err, "message", "") or err).strip().strip("'\"")
        raise say(f"{(text.splitlines() or [''])[0] or type(err).__name__:.200}") from err


@contextlib.contextmanager
def parsing(name: str) -> Iterator[None]:
    """Turn whatever Qiskit's parsers raise into ValueError."""
    with dressing(lambda said: ValueError(f"it must be {name}; its parser says {said}")):
        yield
