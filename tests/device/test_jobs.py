import json
import logging
import os
import shutil
import signal
import time

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
from qiskit.primitives import DataBin, PrimitiveResult, SamplerPubResult
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, pauli_error
from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

from qcluster import metrics
from qcluster.device import jobs
from qcluster.device.execute import execute
from qcluster.device.jobs.folder import RunFolder
from qcluster.device.jobs.runtime import sampler_job
from qcluster.device.machines.machine import Machine, find_machine
from qcluster.device.prepare import Options, prepare
from qcluster.errors import JobError, StorageError
from qcluster.files import read_counts
from tests.device.recorded import RecordedService, record


def two_registers():
    a, b = ClassicalRegister(2, "a"), ClassicalRegister(1, "b")
    circuit = QuantumCircuit(QuantumRegister(3), a, b, name="two")
    circuit.x([0, 1])
    circuit.cx(1, 2)
    circuit.x(0)
    circuit.measure([2, 0, 1], [0, 1, 2])  # reads 1, 0, 1
    return circuit


@pytest.fixture(scope="module")
def machine():
    """A machine that claims to be hardware; nothing is ever sent to it."""
    found = find_machine(FakeManilaV2())
    return Machine(found.backend, "hardware", found.calibration)


@pytest.fixture(scope="module")
def request_(machine, ghz):
    return prepare(
        [ghz(3), two_registers()], machine, Options(shots=90, twirls=3, max_circuits=2, optimization_level=1), seed=4
    )


@pytest.fixture(scope="module")
def recording(request_):
    return record(request_)


@pytest.fixture
def service(tmp_path, recording):
    return RecordedService(tmp_path / "service", recording)


def right(runs):
    assert [run.shots for run in runs] == [90, 90]
    assert set(runs[0].counts.to_probs()) == {"000", "111"}
    assert set(runs[1].counts.to_probs()) == {"101"}
    assert [len(run.twirl_counts) for run in runs] == [3, 3]
    assert all(run.method == "hardware" for run in runs)


def test_submit_look_collect(request_, service, tmp_path):
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    assert [part.job_id for part in jobs.status(directory, service=service)] == ["job-000", "job-001", "job-002"]
    runs = jobs.collect(directory, service=service)
    right(runs)
    assert runs[0].job_ids == ("job-000", "job-001")
    assert runs[1].job_ids == ("job-001", "job-002")
    assert runs[0].calibration.identity == request_.calibration.identity
    again = jobs.collect(directory, service=None)  # all is on disk: no service is needed
    assert [run.counts for run in again] == [run.counts for run in runs]
    assert len(service.jobs()) == 3


def test_registers_are_read_by_name_in_whatever_order_they_arrive(request_, service, tmp_path):
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    for job_id, job in service.jobs().items():
        result = json.loads(job["out"], cls=RuntimeDecoder)
        turned = [SamplerPubResult(DataBin(**dict(reversed(pub.data.items())))) for pub in result]
        service.set(job_id, out=json.dumps(PrimitiveResult(turned), cls=RuntimeEncoder))
    right(jobs.collect(directory, service=service))


def test_bits_outside_registers_are_refused_on_hardware(machine):
    from qiskit.circuit import Clbit

    circuit = QuantumCircuit(QuantumRegister(1), [Clbit()], ClassicalRegister(1))
    circuit.measure(0, 0)
    with pytest.raises(ValueError, match="exactly one register"):
        prepare([circuit], machine, Options(shots=10), seed=1)


def test_registers_that_no_result_can_hold_are_refused_on_hardware(machine):
    circuit = QuantumCircuit(QuantumRegister(1), ClassicalRegister(1, "items"))
    circuit.measure(0, 0)
    with pytest.raises(ValueError, match="results can have no register named 'items'"):
        prepare([circuit], machine, Options(shots=10), seed=1)


def test_metadata_that_no_result_can_be_decoded_with_is_refused_on_hardware(machine):
    circuit = QuantumCircuit(1, 1, name="bell", metadata={"steps": [{"__type__": "cx"}]})
    circuit.measure(0, 0)
    with pytest.raises(KeyError):
        json.loads(json.dumps(circuit.metadata, cls=RuntimeEncoder), cls=RuntimeDecoder)
    with pytest.raises(ValueError, match=r"may not have the key '__type__', .* those of 'bell' have it"):
        prepare([circuit], machine, Options(shots=10), seed=1)


def test_twirled_flips_are_undone(request_, recording):
    assert request_.prepared[1].flips.any()
    assert {tuple(bits[0]) for (i, _), bits in recording.items() if i == 1} != {(True, False, True)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_any_step_nothing_is_lost_or_sent_twice(request_, recording, tmp_path, stride):
    """kill -9 before and after every write, rename and submission; then another process collects."""
    for last in range(0, 10_000, stride):
        place = tmp_path / str(last)
        place.mkdir()
        if not killed_and_resumed(request_, recording, place, last):
            assert last > 40, "the steps must be counted for this to mean anything"
            return


def killed_and_resumed(request_, recording, tmp_path, last):
    def work():
        steps = iter(range(10_000))

        def hook():
            if next(steps) == last:
                os.kill(os.getpid(), signal.SIGKILL)

        real = os.fsync, os.replace
        os.fsync = lambda handle: (hook(), real[0](handle), hook())[1]
        os.replace = lambda a, b: (hook(), real[1](a, b), hook())[1]
        service = RecordedService(tmp_path / "service", recording, hook)
        jobs.collect(jobs.submit(request_, directory=tmp_path / "run", service=service), service=service)

    killed = in_a_child(work)
    service = RecordedService(tmp_path / "service", recording)
    if not RunFolder(tmp_path / "run").has_request():
        assert not service.jobs(), "nothing may be sent before it is written down"
        jobs.submit(request_, directory=tmp_path / "run", service=service)
    right(jobs.collect(tmp_path / "run", service=service))
    tags = [job["tag"] for job in service.jobs().values()]
    assert sorted(tags) == [f"{request_.id}.{part}.1" for part in range(3)]
    return killed


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_ten_thousand_circuits_survive_kills_at_random_moments(ghz, machine, tmp_path):
    """Fifty circuits in 200 dresses each, in 100 jobs; each process that works on them lives for a random while."""
    circuits = [ghz(3, f"number {i}") for i in range(50)]
    options = Options(shots=200, twirls=200, max_circuits=100, optimization_level=0)
    request = prepare(circuits, machine, options, seed=11)
    assert sum(len(prepared.circuits) for prepared in request.prepared) == 10_000
    outcomes = record(request)
    rng = np.random.default_rng()

    def work():
        service = RecordedService(tmp_path / "service", outcomes)
        if not RunFolder(tmp_path / "run").has_request():
            jobs.submit(request, directory=tmp_path / "run", service=service)
        jobs.collect(tmp_path / "run", service=service)

    def live(seconds):
        """Work in a process of its own, for so long; tells whether it was killed before it was done."""
        child = os.fork()
        if child == 0:
            try:
                work()
            except BaseException:
                os._exit(1)
            os._exit(0)
        ends = time.monotonic() + seconds
        while (gone := os.waitpid(child, os.WNOHANG)) == (0, 0):
            if time.monotonic() > ends:
                os.kill(child, signal.SIGKILL)
                gone = os.waitpid(child, 0)
                break
            time.sleep(0.005)
        assert os.WIFSIGNALED(gone[1]) or os.WEXITSTATUS(gone[1]) == 0
        return os.WIFSIGNALED(gone[1])

    began = time.monotonic()
    request.to_json()
    reading = time.monotonic() - began  # what a process must read again before it can do anything
    kills = 0
    while live(float(rng.uniform(0, 12 * reading))):
        kills += 1
    assert kills >= 3
    tags = [job["tag"] for job in RecordedService(tmp_path / "service", outcomes).jobs().values()]
    assert sorted(tags) == sorted(f"{request.id}.{part}.1" for part in range(100)), "nothing sent twice"
    runs = jobs.read(tmp_path / "run")
    assert len(runs) == 50
    assert all(run.shots == 200 and set(run.counts.to_counts()) <= {"000", "111"} for run in runs)
    print(f"{kills} kills")


def in_a_child(work):
    """Run in a fork; tells whether it was killed."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, how = os.waitpid(child, 0)
    assert os.WIFSIGNALED(how) or os.WEXITSTATUS(how) == 0
    return os.WIFSIGNALED(how)


def test_cancelling_finds_a_job_whose_id_was_not_noted(request_, service, tmp_path):
    """A process that is killed between sending and noting leaves a job that runs, and is paid for."""
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    for job_id in service.jobs():
        service.set(job_id, status="QUEUED")
    *before, last = (directory / "log.jsonl").read_text().splitlines(keepends=True)
    assert json.loads(last) | {"time": ""} == {
        "event": "submitted", "time": "", "part": 2, "attempt": 1, "job_id": "job-002"
    }  # fmt: skip
    (directory / "log.jsonl").write_text("".join(before))
    assert jobs.cancel(directory, service=service) == ["job-000", "job-001", "job-002"]
    assert {job["status"] for job in service.jobs().values()} == {"CANCELLED"}


def test_a_torn_log_line_is_left_out_and_said(request_, service, tmp_path, caplog):
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    log = directory / "log.jsonl"
    whole = log.read_text()
    log.write_text(whole + '{"event": "submi')
    with caplog.at_level(logging.WARNING):
        right(jobs.collect(directory, service=service))
    assert caplog.text.count("is torn and left out") == 1, "though the log is read several times"
    assert all(json.loads(line) for line in log.read_text().splitlines())
    assert log.read_text().startswith(whole), "the log only grows"


def test_jobs_that_are_not_done(request_, service, tmp_path):
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    service.set("job-001", status="QUEUED")
    with pytest.raises(JobError, match=r"1 of 3 jobs in .* are not done \(job job-001 is QUEUED\)"):
        jobs.collect(directory, service=service)
    assert [part.status for part in jobs.status(directory, service=service)] == ["DONE", "QUEUED", "DONE"]
    with pytest.raises(JobError, match="job-001 is QUEUED: try again"):
        jobs.fetch("job-001", service=service)


def test_waiting_ends_when_the_job_does(request_, service, tmp_path, monkeypatch):
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    service.set("job-001", status="RUNNING")
    monkeypatch.setattr(jobs.time, "sleep", lambda _: service.set("job-001", status="DONE"))
    right(jobs.collect(directory, service=service, wait=True))


@pytest.mark.parametrize("ending", ["ERROR", "CANCELLED"])
def test_a_lost_job_is_reported_and_sent_again_alone(request_, service, tmp_path, ending):
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    service.set("job-001", status=ending, reason="the fridge is warm")
    for _ in range(2):  # also when asked again
        with pytest.raises(JobError, match=rf"1 of 3 .* job-001 ended as {ending}: the fridge is warm.*--resubmit"):
            jobs.collect(directory, service=service)
    assert len(service.jobs()) == 3, "nothing is sent again unasked"
    right(jobs.collect(directory, service=service, resubmit=True))
    assert len(service.jobs()) == 4
    assert service.jobs()["job-003"]["tag"] == f"{request_.id}.1.2"
    with pytest.raises(JobError, match=f"ended as {ending}: the fridge is warm"):
        jobs.fetch("job-001", service=service)


def test_the_same_circuits_are_the_same_request_whatever_qiskit_calls_them(tmp_path):
    """Circuits without a name are numbered as they are made, and QPY writes the registers of a layout in any order."""

    def plain():
        circuit = QuantumCircuit(2)
        circuit.h(0)
        circuit.cx(0, 1)
        circuit.measure_all()
        return circuit

    def asked(*places):
        placed = transpile(plain(), FakeManilaV2(), initial_layout=places, optimization_level=1)
        return execute([plain(), placed], "fake_manila", shots=20, directory=tmp_path / "kept")

    first, *others = (asked(3, 2) for _ in range(6))
    for other in others:
        assert [run.counts for run in other] == [run.counts for run in first]
    assert sorted(path.name for path in (tmp_path / "kept" / "results").iterdir()) == ["0000.json"]
    with pytest.raises(StorageError, match="with other circuits or another seed"):
        asked(2, 3)


def test_registers_and_gates_without_a_name_are_the_same_when_made_again(tmp_path):
    """Qiskit numbers them through, so that a cell that is run again has others."""

    def made(turn, swapped=False):
        part, both = QuantumCircuit(1), QuantumCircuit(1)
        part.rx(turn, 0)
        both.x(0)
        registers = [ClassicalRegister(1), ClassicalRegister(2)]
        circuit = QuantumCircuit(QuantumRegister(2), *reversed(registers) if swapped else registers)
        circuit.append(part.to_gate(), [0])
        circuit.append(both.to_gate().control(), [0, 1])
        circuit.measure([0, 1], [0, 2])
        return circuit

    def asked(turn, **how):
        return execute([made(turn, **how)], "fake_manila", shots=20, directory=tmp_path / "kept")[0].counts

    first = asked(0.5)
    assert asked(0.5) == first
    for other in (lambda: asked(0.6), lambda: asked(0.5, swapped=True)):
        with pytest.raises(StorageError, match="with other circuits or another seed"):
            other()


def test_a_simulator_of_another_noise_is_another_machine(tmp_path):
    """It has the same name, and had the counts of the first noise for an answer."""

    def asked(wrong):
        noise = NoiseModel()
        noise.add_all_qubit_readout_error(ReadoutError([[1 - wrong, wrong], [wrong, 1 - wrong]]))
        circuit = QuantumCircuit(1, 1)
        circuit.measure(0, 0)
        return execute([circuit], AerSimulator(noise_model=noise), shots=100, seed=1, directory=tmp_path / "kept")

    assert asked(0.1)[0].counts == asked(0.1)[0].counts
    with pytest.raises(StorageError, match="with another noise of the simulation: repeat the same call"):
        asked(0.4)


def test_a_simulator_of_another_channel_is_another_machine_though_it_errs_as_often(tmp_path):
    def asked(pauli):
        noise = NoiseModel()
        noise.add_all_qubit_quantum_error(pauli_error([(pauli, 0.3), ("I", 0.7)]), ["x"])
        circuit = QuantumCircuit(1, 1)
        circuit.x(0)
        circuit.measure(0, 0)
        return execute([circuit], AerSimulator(noise_model=noise), shots=100, seed=1, directory=tmp_path / "kept")

    assert asked("X")[0].counts == asked("X")[0].counts
    with pytest.raises(StorageError, match="with another noise of the simulation: repeat the same call"):
        asked("Z")


def test_one_directory_one_request_one_process(request_, machine, ghz, service, tmp_path):
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    other = prepare([ghz(2)], machine, Options(shots=10), seed=1)
    with pytest.raises(StorageError, match="holds another request"):
        jobs.submit(other, directory=directory, service=service)
    with RunFolder(directory).lock(), pytest.raises(StorageError, match="another process is working"):
        jobs.collect(directory, service=service)
    with pytest.raises(StorageError, match="holds no request"):
        jobs.collect(tmp_path / "empty", service=service)


def test_results_never_change_and_are_not_read_without_their_run(request_, service, tmp_path):
    directory = jobs.submit(request_, directory=tmp_path / "run", service=service)
    jobs.collect(directory, service=service)
    path = directory / "results" / "0000.json"
    before = path.read_text()
    RunFolder(directory).write_result(0, "{}")
    assert path.read_text() == before
    for part in (path, shutil.copy(path, tmp_path / "copy.json")):  # flips are not undone in them
        with pytest.raises(ValueError, match=r"is a part of a saved run.*: use qcluster mitigate"):
            read_counts(str(part), pub=1)


def test_fetch_needs_an_id_only(request_, service, tmp_path):
    jobs.submit(request_, directory=tmp_path / "run", service=service)
    with pytest.raises(JobError, match=rf"job-000 is a part of the run {request_.id}, .*: qcluster jobs collect"):
        jobs.fetch("job-000", service=service)  # the flips of its twirls are not known there
    result = jobs.fetch("job-000", as_read=True, service=service)
    assert result[0].data.meas.num_shots == 30
    service.set("job-000", tag="somebody's own")
    assert jobs.fetch("job-000", service=service)[0].data.meas.num_shots == 30
    with pytest.raises(JobError, match="no job 'nothing'"):
        jobs.fetch("nothing", service=service)


def test_the_runtimes_local_mode_runs_the_same_sampler_code(machine, ghz):
    backend = machine.backend
    client = prepare([ghz(3)], machine, Options(shots=400, twirls=2, optimization_level=1), seed=4)
    server = prepare([ghz(3)], machine, Options(shots=400, twirls=2, twirling="server", dd="XX"), seed=4)
    for asked in (client, server):
        prepared = asked.prepared[0]
        job = sampler_job(backend, asked, prepared.circuits, prepared.shots[0], ("a", "b"))
        pubs = job.result()
        from qcluster.device.run import read_runs

        (run,) = read_runs(asked, [list(pubs)])
        assert run.shots == 400
        assert metrics.total_variation(run.counts, {"000": 0.5, "111": 0.5}) < 0.35
        assert run.flips.any() == (asked is client)


def test_a_simulation_can_be_kept_and_read_back(ghz, tmp_path):
    (run,) = execute([ghz(2)], "aer", shots=50, twirls=2, seed=3, directory=tmp_path / "run")
    (again,) = jobs.collect(tmp_path / "run")
    (bare,) = execute([ghz(2)], "aer", shots=50, twirls=2, seed=3)
    assert run.counts == again.counts == bare.counts
    assert run.twirl_counts == bare.twirl_counts
    assert [part.status for part in jobs.status(tmp_path / "run")] == ["DONE"]


def test_runs_that_were_saved_before_results_were_hashed_are_read(ghz, tmp_path):
    (run,) = execute([ghz(2)], "aer", shots=50, seed=3, directory=tmp_path / "run")
    log = tmp_path / "run" / "log.jsonl"
    events = [json.loads(line) for line in log.read_text().splitlines()]
    bare = [{k: v for k, v in event.items() if k != "sha256"} for event in events if event["event"] != "request"]
    log.write_text("".join(json.dumps(event) + "\n" for event in bare))
    (again,) = jobs.read(tmp_path / "run")
    assert again.counts == run.counts


def test_a_killed_simulation_runs_again_to_the_same_counts(ghz, tmp_path, monkeypatch):
    manila = FakeManilaV2()
    (bare,) = execute([ghz(2)], manila, shots=50, seed=3)
    request = prepare([ghz(2)], find_machine(manila), Options(shots=50), seed=3)
    RunFolder(tmp_path / "run").write_request(request)
    (again,) = jobs.collect(tmp_path / "run")
    assert again.counts == bare.counts
