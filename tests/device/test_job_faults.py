"""Saved jobs on a bad day: full and read-only disks, a clock that jumps, another process in the directory."""

import base64
import datetime
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from qiskit import QuantumCircuit
from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder

from qcluster import folders
from qcluster.device import jobs
from qcluster.device.circuits.qpy import dump_circuits
from qcluster.device.execute import execute
from qcluster.device.jobs import folder as folder_module
from qcluster.device.jobs.folder import RunFolder
from qcluster.device.prepare import Options, prepare
from qcluster.device.request import Request
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


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("x" * 300, StorageError, "cannot read x+/request.json: File name too long"),
        ("a\0b", ValueError, r"the name of a folder must have no null characters; got 'a.x00b'"),
    ],
)
def test_a_folder_that_cannot_be_is_refused_in_words(ghz, tmp_path, monkeypatch, name, error, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said):
        execute([ghz(2)], "aer", shots=10, directory=name)
    with pytest.raises(error):
        jobs.read(name)


def test_a_folder_that_does_not_answer_is_not_written_anew(request_, service, tmp_path, monkeypatch):  # noqa: F811
    """A network disk that fails for a moment must not lose the request."""
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    stat = Path.stat

    def fails(self, **options):
        if self.name in {"request.json", "0001.json"}:
            raise OSError(errno.EIO, "Input/output error")
        return stat(self, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", fails)
        for call in (
            lambda: jobs.submit(request_, directory=directory, service=service),
            lambda: jobs.status(directory, service=service),
            lambda: jobs.collect(directory, service=service),
            lambda: jobs.read(directory),
        ):
            with pytest.raises(StorageError, match=r"cannot read .*\.json: Input/output error"):
                call()
    right(jobs.collect(directory, service=service))


def test_a_large_request_is_read_again(machine, monkeypatch, tmp_path, service):  # noqa: F811
    """A hundred twirls of a wide and deep circuit made a request that was larger than any file that is read."""
    circuit = QuantumCircuit(5)
    for angle in range(200):
        circuit.rx(angle, range(5))
        circuit.barrier()
    circuit.measure_all()
    monkeypatch.setattr(folders, "MOST_BYTES", 1 << 21)
    request = prepare([circuit], machine, Options(shots=10, twirls=10, optimization_level=0), seed=1)
    RunFolder(tmp_path / "run").write_request(request)
    assert RunFolder(tmp_path / "run").request.prepared[0].circuits == request.prepared[0].circuits


def test_a_request_of_version_1_is_read(request_):  # noqa: F811
    content = json.loads(request_.to_json())
    for part, prepared in zip(content["prepared"], request_.prepared, strict=True):
        part["qpy"] = base64.b64encode(dump_circuits(prepared.circuits)).decode()
    older = Request.from_json(json.dumps(content | {"version": 1}))
    assert [part.circuits for part in older.prepared] == [part.circuits for part in request_.prepared]


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
from qcluster.device.jobs.folder import RunFolder
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
        ("log.jsonl", b"[]\n", "must hold an event and its part"),
        ("log.jsonl", b'{"event": "submitting", "part": 0}\n', "must hold its attempt"),
        ("log.jsonl", b'{"event": "submitted", "part": 0, "job_id": 7}\n', "must hold its job_id"),
        ("log.jsonl", b"\xff\n", "cannot be read"),
        ("log.jsonl", b"[" * 100_000 + b"\n", "nested too deeply"),
        ("request.json", b"{}", "expected a qcluster-request"),
        ("request.json", b'{"format": "qcluster-request", "version": 99}', "newer than this qcluster"),
        ("request.json", b'{"format": "qcluster-request"}', "the version of a qcluster-request must be a whole number"),
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


def edited(directory, change):
    """Edit the request as a careless hand would."""
    path = directory / "request.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def put(*keys, value):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put("options", value={}), "options must hold .*, each once"),
        (put("options", value=[]), "options must hold .*, each once"),
        (put("options", "twirls", value="3"), "twirls must be a whole number from 1 to 2147483647; got '3'"),
        (put("options", "shots", value=10**400), r"shots must be a whole number from 1 to 2147483647; got 10000"),
        (put("options", "max_circuits", value=0), "max_circuits must be a whole number from 1 to 2147483647; got 0"),
        (put("options", "twirling", value=["client"]), "twirling must be one of client, server"),
        (put("options", "speed", value=1), "options must hold .*missing or unknown: .'speed'"),
        (put("seed", value=float("nan")), "numbers must be finite; got NaN"),
        (put("seed", value=1.5), "seed must be a whole number of at least 0; got 1.5"),
        (put("simulator_seed", value=2**40), "simulator_seed must be a whole number from 0 to 2147483647"),
        (put("kind", value="oracle"), "kind must be one of simulator, model, backend, hardware; got 'oracle'"),
        (put("dt", value=-1), "dt must be seconds"),
        (put("id", value=7), "id must be a text; got 7"),
        (put("versions", value=["x"]), "versions must be strings by name"),
        (
            put("prepared", 0, "shots", value=[10**400] * 3),
            "shots of circuit 0 must be a whole number from 1 to 2147483647",
        ),
        (put("prepared", 0, "shots", value=[30]), "flips of circuit 0 must be 1 text"),
        (put("prepared", 0, "shots", value=30), "shots of circuit 0 must be a list"),
        (put("prepared", 1, "flips", value=["000", "01", "000"]), "flips of circuit 1 must be 3 texts of 3 characters"),
        (put("prepared", 1, "flips", 0, value="0a1"), "flips of circuit 1 must be 3 texts of 3 characters"),
        (put("prepared", 0, "method", value="magic"), "method of circuit 0 must be one of hardware; got 'magic'"),
        (put("prepared", 0, "notes", value=[1]), "notes of circuit 0 must be a list of texts"),
        (put("prepared", 0, "noiseless", value="no"), "noiseless of circuit 0 must be True or False; got 'no'"),
        (put("prepared", 0, value=[]), "circuit 0 must be an object"),
        (
            put("prepared", 0, "profile", "registers", value=[["meas", "3"]]),
            "registers must be pairs of a name and a size",
        ),
    ],
)
def test_a_wrong_request_is_refused_in_words(request_, service, tmp_path, change, said):  # noqa: F811
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    edited(directory, change)
    for act in (lambda: jobs.status(directory, service=service), lambda: jobs.collect(directory, service=service)):
        with pytest.raises(StorageError, match=rf"request.json cannot be read: .*{said}"):
            act()
    assert len(service.jobs()) == 3


def test_a_request_with_a_key_twice_is_refused(request_, service, tmp_path):  # noqa: F811
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    path = directory / "request.json"
    path.write_text(path.read_text().replace('{"format"', '{"seed": 1, "format"', 1))
    with pytest.raises(StorageError, match="keys must be distinct; 'seed' came twice"):
        jobs.collect(directory, service=service)


def test_an_edited_request_is_not_what_was_submitted(request_, service, tmp_path):  # noqa: F811
    """Flips that are edited would turn every count into another one, in silence."""
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    row = "".join("01"[not flip] for flip in request_.prepared[1].flips[0])
    edited(directory, put("prepared", 1, "flips", 0, value=row))
    with pytest.raises(StorageError, match=r"request.json is not what was submitted, as its SHA-256"):
        jobs.collect(directory, service=service)


def test_inverted_bits_in_a_stored_result_are_seen(request_, service, tmp_path):  # noqa: F811
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    right(jobs.collect(directory, service=service))
    path = directory / "results" / "0001.json"
    result = json.loads(path.read_text(), cls=RuntimeDecoder)
    for pub in result:
        for register in pub.data.values():
            register.array[:] ^= 1
    path.write_text(json.dumps(result, cls=RuntimeEncoder))
    for act in (jobs.read, jobs.collect):
        with pytest.raises(StorageError, match=r"0001.json is not what was stored, as its SHA-256"):
            act(directory)


def test_a_result_of_half_a_bit_is_refused_by_its_file(request_, service, tmp_path):  # noqa: F811
    """The number was cut off where the file was checked, and refused without its name where the counts were read."""
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    jobs.collect(directory, service=service)
    path = directory / "results" / "0001.json"
    path.write_text(path.read_text().replace('"num_bits": 3', '"num_bits": 3.5'))
    (directory / "log.jsonl").write_text("".join(kept(directory / "log.jsonl", without="done")))
    with pytest.raises(StorageError, match=r"0001.json result 0, of circuit .* must have the registers"):
        jobs.read(directory)


def kept(path, without):
    return [line for line in path.read_text().splitlines(keepends=True) if json.loads(line)["event"] != without]


def test_a_result_whose_hash_was_not_logged_is_brought_in(request_, service, tmp_path):  # noqa: F811
    """A process was killed between the two."""
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    jobs.collect(directory, service=service)
    log = directory / "log.jsonl"
    log.write_text("".join(kept(log, without="done")))
    right(jobs.collect(directory, service=service))
    assert sum(event["event"] == "done" for event in RunFolder(directory).events()) == 3
    assert len(service.jobs()) == 3


def test_a_lost_log_is_made_up_for_by_results(request_, service, tmp_path):  # noqa: F811
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    jobs.collect(directory, service=service)
    (directory / "log.jsonl").unlink()
    right(jobs.collect(directory, service=service))
    assert len(service.jobs()) == 3
