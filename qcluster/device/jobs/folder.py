"""A run directory: a request, an append-only log of what happened to it, and results that never change.

::

    request.json           everything that was asked, written before anything is sent
    log.jsonl              one event a line: request, submitting, submitted, failed, done, calibrated
    results/0000.json      the result of each part, as the runtime's RuntimeEncoder writes it
    calibration-0000.json  what the machine had published when the part ran, where the service tells

The log holds the SHA-256 of the request and of all results and calibrations, which are verified whenever they are read.
"""

from __future__ import annotations

import datetime
import errno
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from qcluster.device.machines.calibration import Calibration
from qcluster.device.request import Request
from qcluster.errors import StorageError
from qcluster.files import parse_json, sync_folder
from qcluster.folders import lock_folder, open_own, read_own, write_once, write_own

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunFolder:
    """Hold the place of one request on disk."""

    path: Path
    """The directory."""

    @property
    def _log(self) -> Path:
        return self.path / "log.jsonl"

    def has_request(self) -> bool:
        """Tell whether a request was written here."""
        return (self.path / "request.json").exists()

    def write_request(self, request: Request) -> None:
        """Write the request; StorageError where the directory holds another one or cannot be written."""
        if self.has_request():
            if self.request.id == request.id:
                return
            raise StorageError(f"{self.path} holds another request already: collect it, or choose another directory")
        write_own(self.path / "request.json", request.to_json())

    @cached_property
    def request(self) -> Request:
        """The request; StorageError where there is none, or it is not the one that was submitted."""
        try:
            content = read_own(self.path / "request.json")
            request = Request.from_json(content.decode("utf-8"))
        except OSError as error:
            raise StorageError(
                f"{self.path} holds no request: nothing was submitted from there ({error.strerror})"
            ) from error
        except ValueError as error:
            raise StorageError(f"{self.path / 'request.json'} cannot be read: {error}") from error
        if self._hash_of("request") not in (None, _hash(content)):
            raise StorageError(
                f"{self.path / 'request.json'} is not what was submitted, as its SHA-256 in log.jsonl tells: bring "
                "back the file as it was"
            )
        return request

    def seal(self) -> None:
        """Write the hash of the request into the log, unless it is there."""
        if self._hash_of("request") is None:
            self.append("request", sha256=_hash(read_own(self.path / "request.json")))

    def has_hash(self, part: int) -> bool:
        """Tell whether the log holds the hash of a part's result."""
        return self._hash_of("done", part) is not None

    def _hash_of(self, event: str, part: int | None = None) -> str | None:
        """The first hash that was logged: what it is of never changes."""
        found = (line.get("sha256") for line in self.events() if line["event"] == event and line.get("part") == part)
        return next((one for one in found if one is not None), None)

    def events(self) -> list[dict[str, Any]]:
        """Read the log; a last line torn by a crash is left out, and said."""
        try:
            *lines, torn = (read_own(self._log) if self._log.exists() else b"").split(b"\n")
            if torn:
                logger.warning("%s: the last line is torn and left out", self._log)
            return [_event(parse_json(line)) for line in lines]
        except (OSError, ValueError) as error:
            raise StorageError(f"{self._log} cannot be read: {getattr(error, 'strerror', None) or error}") from error

    def append(self, event: str, **facts: Any) -> None:
        """Write one event behind the last whole line, down to the disk, before going on."""
        line = (json.dumps({"event": event, "time": _now(), **facts}) + "\n").encode()
        try:
            with open_own(self._log, "ab+") as file:
                file.seek(0)
                whole = file.read().rfind(b"\n") + 1
                if whole < file.tell():
                    file.truncate(whole)
                if file.write(line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            sync_folder(self.path)
        except OSError as error:
            raise StorageError(f"cannot write {self._log}: {error.strerror}") from error

    def result_path(self, part: int) -> Path:
        """Where the result of a part lies, or will."""
        return self.path / "results" / f"{part:04d}.json"

    def write_result(self, part: int, text: str) -> None:
        """Keep a result; one that is there already stays as it is."""
        write_once(self.result_path(part), text)

    def write_refused(self, part: int, attempt: int, text: str) -> Path:
        """Keep a result that does not fit the request, beside those that do."""
        path = self.result_path(part).with_name(f"{part:04d}.refused-{attempt}.json")
        write_once(path, text)
        return path

    def note_done(self, part: int, **facts: Any) -> None:
        """Log that the result of a part is here, with its hash."""
        with self._reading(part):
            content = read_own(self.result_path(part))
        self.append("done", part=part, **facts, sha256=_hash(content))

    def _calibration_path(self, part: int) -> Path:
        return self.path / f"calibration-{part:04d}.json"

    def write_calibration(self, part: int, calibration: Calibration) -> None:
        """Keep what the machine had published when a part ran; one that is there already stays as it is."""
        text = calibration.to_json()
        write_once(self._calibration_path(part), text)
        self.append("calibrated", part=part, sha256=_hash(text.encode()))

    def read_calibration(self, part: int) -> Calibration | None:
        """Read what the machine had published when a part ran; None where that is not known."""
        known, path = self._hash_of("calibrated", part), self._calibration_path(part)
        if known is None:
            return None
        try:
            content = read_own(path)
            if _hash(content) == known:
                return Calibration.from_json(content.decode("utf-8"))
        except (OSError, ValueError) as error:
            raise StorageError(f"{path} cannot be read: {error}") from error
        raise StorageError(
            f"{path} is not what was stored, as its SHA-256 in log.jsonl tells: bring back the file as it was"
        )

    def read_result(self, part: int) -> str:
        """Read the text of a result; StorageError where it cannot be read."""
        with self._reading(part):
            return read_own(self.result_path(part)).decode("utf-8")

    def verify_result(self, part: int, text: str) -> None:
        """Check that a result is as it was stored; StorageError where it is not."""
        if self._hash_of("done", part) not in (None, _hash(text.encode())):
            raise StorageError(
                f"{self.result_path(part)} is not what was stored, as its SHA-256 in log.jsonl tells: bring back the "
                "file as it was, or remove it and its line in the log, and collect it again from the service"
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
        """Keep other processes out while this one submits or collects; a killed process lets go by itself.

        StorageError where another one is at it, or there is no request although there must be an `existing` one.
        """
        if existing:
            _ = self.request
        with lock_folder(self.path, f"another process is working in {self.path}: wait until it is done", "results"):
            yield


_FACTS = {"submitting": ("attempt",), "submitted": ("job_id",), "failed": ("status", "reason")}
"""What each kind of event must tell besides its part. The hash of a result is not in logs of version 0.1.0."""


def _event(line: Any) -> dict[str, Any]:
    """Check one line of the log."""
    if isinstance(line, dict) and line.get("event") == "request" and isinstance(line.get("sha256"), str):
        return line
    if not isinstance(line, dict) or not isinstance(line.get("part"), int) or not isinstance(line.get("event"), str):
        raise ValueError(f"a line must tell an event and its part; got {str(line)[:80]}")
    kinds = {"attempt": int, "job_id": str, "status": str, "reason": str, "sha256": str}
    needed = (*_FACTS.get(line["event"], ()), *(["sha256"] if "sha256" in line else []))
    wrong = [name for name in needed if not isinstance(line.get(name), kinds[name])]
    if wrong:
        raise ValueError(f"an event {line['event']!r} must tell its {wrong[0]}; got {str(line)[:80]}")
    return line


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
