"""A run directory: a request, an append-only log of its jobs, and results that never change.

::

    request.json           the request, written before anything is sent
    log.jsonl              one event per line: request, submitting, submitted, failed, unreadable, done, calibrated
    results/0000.json      the result of each part, as the runtime's RuntimeEncoder writes it
    calibration-0000.json  the machine's calibration when the part ran, if the service provides it

The log holds the SHA-256 of the request and of all results and calibrations, which are verified whenever they are read.
"""

from __future__ import annotations

import datetime
import errno
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from qcluster.device.machines.calibration import Calibration
from qcluster.device.request import Request
from qcluster.errors import StorageError
from qcluster.files import parse_json, sync_folder
from qcluster.folders import lock_folder, open_managed, read_managed, write_managed, write_once

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunFolder:
    """The directory of one request."""

    path: Path
    """The directory."""

    @property
    def _log(self) -> Path:
        return self.path / "log.jsonl"

    def has_request(self) -> bool:
        """True if the directory holds a request; StorageError if that cannot be seen."""
        return _is_there(self.path / "request.json")

    def has_result(self, part: int) -> bool:
        """True if the directory holds the result of a part; StorageError if that cannot be seen."""
        return _is_there(self.result_path(part))

    def write_request(self, request: Request) -> None:
        """Write the request; StorageError if the directory holds another one or cannot be written."""
        if self.has_request():
            if self.request.id == request.id:
                return
            raise StorageError(f"{self.path} holds another request already: collect it, or choose another directory")
        write_managed(self.path / "request.json", request.to_json())

    @cached_property
    def request(self) -> Request:
        """The request; StorageError if there is none, or if it was changed since it was submitted."""
        try:
            content = read_managed(self.path / "request.json")
            request = Request.from_json(content.decode("utf-8"))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StorageError(
                f"{self.path} holds no request: nothing was submitted from there ({error.strerror})"
            ) from error
        except OSError as error:
            raise StorageError(f"cannot read {self.path / 'request.json'}: {error.strerror}") from error
        except ValueError as error:
            raise StorageError(f"{self.path / 'request.json'} cannot be read: {error}") from error
        if self._hash_of("request") not in (None, _hash(content)):
            raise StorageError(
                f"{self.path / 'request.json'} is not what was submitted, as its SHA-256 in log.jsonl shows: restore "
                "the original file"
            )
        return request

    def seal(self) -> None:
        """Write the hash of the request into the log, unless it is already there."""
        if self._hash_of("request") is None:
            self.append("request", sha256=_hash(read_managed(self.path / "request.json")))

    def has_hash(self, part: int) -> bool:
        """True if the log holds the hash of a part's result."""
        return self._hash_of("done", part) is not None

    def _hash_of(self, event: str, part: int | None = None) -> str | None:
        """The first hash that was logged for an event of a part; the file it belongs to never changes."""
        hashes = (line.get("sha256") for line in self.events() if line["event"] == event and line.get("part") == part)
        return next((digest for digest in hashes if digest is not None), None)

    def events(self) -> list[Mapping[str, Any]]:
        """Read the log; a last line torn by a crash is omitted, with a warning."""
        try:
            *lines, torn = (read_managed(self._log) if self._log.exists() else b"").split(b"\n")
            if torn:
                _warn_of_torn_line(self._log, torn)
            return [_read_event(line) for line in lines]
        except (OSError, ValueError) as error:
            raise StorageError(f"{self._log} cannot be read: {getattr(error, 'strerror', None) or error}") from error

    def append(self, event: str, **facts: Any) -> None:
        """Append one event to the log, after its last complete line, and flush it to disk."""
        line = (json.dumps({"event": event, "time": _now(), **facts}) + "\n").encode()
        try:
            with open_managed(self._log, "ab+") as file:
                file.seek(0)
                end = file.read().rfind(b"\n") + 1
                if end < file.tell():
                    file.truncate(end)
                if file.write(line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            sync_folder(self.path)
        except OSError as error:
            raise StorageError(f"cannot write {self._log}: {error.strerror}") from error

    def result_path(self, part: int) -> Path:
        """Path of the result of a part, whether it exists or not."""
        return self.path / "results" / f"{part:04d}.json"

    def write_result(self, part: int, text: str) -> None:
        """Write a result, unless there is one already."""
        write_once(self.result_path(part), text)

    def write_refused(self, part: int, attempt: int, text: str) -> Path:
        """Write a result that does not fit the request to a separate file, and return its path."""
        path = self.result_path(part).with_name(f"{part:04d}.refused-{attempt}.json")
        write_once(path, text)
        return path

    def note_done(self, part: int, **facts: Any) -> None:
        """Log that the result of a part has arrived, with its hash."""
        with self._reading(part):
            content = read_managed(self.result_path(part))
        self.append("done", part=part, **facts, sha256=_hash(content))

    def _calibration_path(self, part: int) -> Path:
        return self.path / f"calibration-{part:04d}.json"

    def write_calibration(self, part: int, calibration: Calibration) -> None:
        """Write the machine's calibration at the time a part ran, unless one was logged already."""
        if self._hash_of("calibrated", part) is None:
            text = calibration.to_json()
            write_managed(self._calibration_path(part), text)
            self.append("calibrated", part=part, sha256=_hash(text.encode()))

    def read_calibration(self, part: int) -> Calibration | None:
        """Read the machine's calibration at the time a part ran; None if it is not known."""
        expected, path = self._hash_of("calibrated", part), self._calibration_path(part)
        if expected is None:
            return None
        try:
            content = read_managed(path)
            if _hash(content) == expected:
                return Calibration.from_json(content.decode("utf-8"))
            why = "is not what was stored, as its SHA-256 in log.jsonl shows"
        except (OSError, ValueError) as error:
            why = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise StorageError(
            f"{path} {why}: restore the original file; or delete the line 'calibrated' of part {part} in log.jsonl, "
            "and the run then has the calibration of its request"
        )

    def read_result(self, part: int) -> str:
        """Read the text of a result; StorageError if it cannot be read."""
        with self._reading(part):
            return read_managed(self.result_path(part)).decode("utf-8")

    def verify_result(self, part: int, text: str) -> None:
        """Check that a result was not changed since it was stored; StorageError if it was."""
        if self._hash_of("done", part) not in (None, _hash(text.encode())):
            raise StorageError(
                f"{self.result_path(part)} is not what was stored, as its SHA-256 in log.jsonl shows: restore the "
                "original file, or remove it and its line in the log, and collect it again from the service"
            )

    @contextmanager
    def _reading(self, part: int) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise StorageError(f"cannot read {self.result_path(part)}: {why}") from error

    @contextmanager
    def lock(self, *, existing: bool = False) -> Iterator[None]:
        """Keep other processes out while this one submits or collects; the lock of a killed process is released.

        StorageError if another process holds the lock, or if `existing` is set and the directory holds no request.
        """
        if existing:
            _ = self.request
        with lock_folder(self.path, f"another process is working in {self.path}: wait until it is done", "results"):
            yield


_REQUIRED = {"submitting": ("attempt",), "submitted": ("job_id",), "failed": ("status", "reason")}
"""Keys that each kind of event must have besides "part". Logs of version 0.1.0 lack the hashes of results."""


@lru_cache(maxsize=128)
def _warn_of_torn_line(log: Path, torn: bytes) -> None:
    """Warn once of a torn line, since a single command reads the log several times."""
    logger.warning("%s: the last line is torn and left out", log)


@lru_cache(maxsize=1 << 15)
def _read_event(line: bytes) -> Mapping[str, Any]:
    """Read one line of the log; ValueError if it is no event or lacks a key.

    All readers share the result, since the log is read for each of a request's results.
    """
    event = parse_json(line)
    if isinstance(event, dict) and event.get("event") == "request" and isinstance(event.get("sha256"), str):
        return event
    if not isinstance(event, dict) or not isinstance(event.get("part"), int) or not isinstance(event.get("event"), str):
        raise ValueError(f"a line must hold an event and its part; got {str(event)[:80]}")
    kinds = {"attempt": int, "job_id": str, "status": str, "reason": str, "sha256": str}
    required = (*_REQUIRED.get(event["event"], ()), *(["sha256"] if "sha256" in event else []))
    wrong = [name for name in required if not isinstance(event.get(name), kinds[name])]
    if wrong:
        raise ValueError(f"an event {event['event']!r} must hold its {wrong[0]}; got {str(event)[:80]}")
    return event


def _is_there(path: Path) -> bool:
    """Like `Path.exists`, but StorageError where that would raise OSError or, from Python 3.14 on, return False."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    return True


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
