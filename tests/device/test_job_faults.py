"""Saved jobs on a bad day: full and read-only disks, a clock that jumps, another process in the directory."""

import datetime
import errno
import os
import subprocess
import sys

import pytest

from qcluster.device import folder as folder_module
from qcluster.device import jobs
from qcluster.device.folder import RunFolder
from qcluster.errors import StorageError
from tests.device.recorded import RecordedService
from tests.device.test_jobs import machine, recording, request_, right, service  # noqa: F401


def finished(request, directory, service):  # noqa: F811
    """Submit and collect; give why that failed, or nothing."""
    try:
        jobs.collect(jobs.submit(request, directory=directory, service=service), service=service)
    except StorageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_a_disk_full_at_any_write_loses_nothing(request_, recording, tmp_path, monkeypatch, stride):  # noqa: F811
    """ENOSPC at the k-th flush or rename; with room again, the same directory is finished and nothing is sent twice."""
    real = os.fsync, os.replace
    for last in range(0, 100, stride):
        place, steps = tmp_path / str(last), iter(range(10_000))
        place.mkdir()

        def full(call, steps=steps, last=last):
            def act(*arguments):
                if next(steps) == last:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return call(*arguments)

            return act

        service = RecordedService(place / "service", recording)  # noqa: F811
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full(real[0]))
            patch.setattr(os, "replace", full(real[1]))
            said = finished(request_, place / "run", service)
        if not said:
            break
        assert "No space left" in said
        assert not list((place / "run").rglob(".*.*[0-9a-f]")), "no half-written file stays"
        jobs.submit(request_, directory=place / "run", service=service)
        right(jobs.collect(place / "run", service=service))
        tags = [job["tag"] for job in service.jobs().values()]
        assert sorted(tags) == [f"{request_.id}.{part}.1" for part in range(3)]
    assert last > 15, "the writes must be counted for this to mean anything"


def test_a_log_line_cut_short_by_a_full_disk_is_mended(request_, service, small_disk, tmp_path):  # noqa: F811
    room = small_disk / "filler"
    subprocess.run(["mount", "-o", "remount,size=2m", small_disk], check=True)
    directory = jobs.submit(request_, directory=small_disk / "run", service=service)
    with pytest.raises(OSError, match="No space left"):  # noqa: PT012
        while True:
            with room.open("ab", buffering=0) as file:
                file.write(b"\0" * 512)
    with pytest.raises(StorageError, match="No space left"):
        jobs.collect(directory, service=service)
    room.unlink()
    right(jobs.collect(directory, service=service))
    assert len(service.jobs()) == 3


def test_a_read_only_directory_is_looked_at_and_refused_in_words(request_, service, small_disk):  # noqa: F811
    subprocess.run(["mount", "-o", "remount,size=2m", small_disk], check=True)
    directory = jobs.submit(request_, directory=small_disk / "run", service=service)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert [part.status for part in jobs.status(directory, service=service)] == ["DONE"] * 3
    with pytest.raises(StorageError, match="cannot write"):
        jobs.collect(directory, service=service)
    with pytest.raises(StorageError, match="cannot write"):
        jobs.submit(request_, directory=small_disk / "other", service=service)
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    right(jobs.collect(directory, service=service))


def test_a_clock_that_jumps_changes_nothing(request_, service, tmp_path, monkeypatch):  # noqa: F811
    times = iter(
        f"{year}-01-01T00:00:00+00:00" for year in (2026, 1970, 2099, 2026, 1999, 2030, 2001, 2026, 1980, 2040)
    )
    monkeypatch.setattr(folder_module, "_now", lambda: next(times))
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    right(jobs.collect(directory, service=service))
    told = [datetime.datetime.fromisoformat(event["time"]) for event in RunFolder(directory).events()]
    assert told != sorted(told)
    right(jobs.collect(directory, service=service))


HOLD = """
import sys, time
from pathlib import Path
from qcluster.device.folder import RunFolder
with RunFolder(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process_is_kept_out_until_it_dies(request_, service, tmp_path):  # noqa: F811
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(directory)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        for act in (lambda: jobs.collect(directory, service=service), lambda: jobs.submit(request_, None, directory)):
            with pytest.raises(StorageError, match="another process is working"):
                act()
        assert len(jobs.status(directory, service=service)) == 3
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    right(jobs.collect(directory, service=service))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("log.jsonl", b"[]\n", "must tell an event and its part"),
        ("log.jsonl", b'{"event": "submitting", "part": 0}\n', "must tell its attempt"),
        ("log.jsonl", b'{"event": "submitted", "part": 0, "job_id": 7}\n', "must tell its job_id"),
        ("log.jsonl", b"\xff\n", "cannot be read"),
        ("log.jsonl", b"[" * 100_000 + b"\n", "nested too deeply"),
        ("request.json", b"{}", "expected a qcluster-request"),
        ("request.json", b'{"format": "qcluster-request", "version": 99}', "newer than this qcluster"),
        ("request.json", b'{"format": "qcluster-request"}', "needs a version"),
        ("request.json", b'{"format": "qcluster-request", "version": 1}', "must have 'id'"),
        ("request.json", b"\xff\xfe", "cannot be read"),
        ("results/0000.json", b"[1, 2]", "must hold the results of 2 circuits"),
        ("results/0000.json", b"", "must be JSON"),
    ],
)
def test_damage_is_named(request_, service, tmp_path, name, content, said):  # noqa: F811
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    jobs.collect(directory, service=service)
    (directory / name).write_bytes(content)
    with pytest.raises(StorageError, match=said):
        jobs.collect(directory, service=service)


def test_a_lost_log_is_made_up_for_by_results(request_, service, tmp_path):  # noqa: F811
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    jobs.collect(directory, service=service)
    (directory / "log.jsonl").unlink()
    right(jobs.collect(directory, service=service))
    assert len(service.jobs()) == 3
