"""Jobs through the runtime's own classes: accounts, deleted and foreign jobs, results that do not fit."""

import dataclasses
import datetime
import json

import pytest
from qiskit import QuantumCircuit
from qiskit_ibm_runtime.api.exceptions import RequestsApiError

from qcluster.device import MitigatedSampler, jobs
from qcluster.device.execute import execute
from qcluster.device.machines.machine import find_machine
from qcluster.device.noise.measured import MeasuredReference
from qcluster.device.prepare import Options, prepare
from qcluster.device.request import estimate_usage, request_digest
from qcluster.device.run import Run
from qcluster.errors import AccountError, JobError, StorageError
from tests.device.cloud import Client, cut_off, save_account

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:qiskit_ibm_runtime")


def flip():
    circuit = QuantumCircuit(2, name="flip")
    circuit.x(0)
    circuit.measure_all()
    return circuit


@pytest.mark.parametrize("mode", ["job", "batch", "session"])
@pytest.mark.parametrize("another", [False, True])
def test_jobs_are_collected_with_the_account_that_sent_them(cloud, backend, mode, another):
    if another:
        save_account("another", "another")
    (run,) = execute([flip()], backend, shots=30, twirls=3, seed=1, mode=mode)
    assert run.counts.to_counts() == {"01": 30}
    assert run.job_ids == ("c001",)
    assert cloud.jobs["c001"]["owner"] == "mine"


@pytest.mark.parametrize("mode", ["batch", "session"])
def test_a_session_that_cannot_be_closed_loses_no_job(cloud, backend, monkeypatch, caplog, mode):
    def refuse(self, session_id):
        raise RequestsApiError("503 Service Unavailable", 503)

    monkeypatch.setattr(Client, "close_session", refuse)
    (run,) = execute([flip()], backend, shots=30, twirls=3, seed=1, mode=mode)
    assert run.counts.to_counts() == {"01": 30}
    assert "was not closed: 503 Service Unavailable" in caplog.text


def test_a_run_has_the_calibration_of_the_time_when_its_job_ran(cloud, backend, tmp_path):
    folder = submitted(backend, tmp_path)
    cloud.jobs["c003"]["running"] = "2026-11-26T09:00:00Z"
    runs = jobs.collect(folder, service=cloud.account("mine"))
    now = find_machine(backend).calibration
    for run in runs:  # the jobs hold two circuits each, three of a run: the first one tells
        assert run.calibration_of == "job"
        assert run.calibration.readout == pytest.approx(7e-4)
        assert run.calibration.date == "2026-11-26T07:30:00+00:00"
        assert run.calibration.gates_2q == now.gates_2q
        assert run.calibration.readout.shape == now.readout.shape
        again = Run.from_json(run.to_json())
        assert (again.calibration_of, again.calibration.identity) == ("job", run.calibration.identity)
    cloud.jobs.clear()
    assert [run.calibration.identity for run in jobs.read(folder)] == [run.calibration.identity for run in runs]
    path = folder / "calibration-0000.json"
    path.write_text(now.to_json())
    with pytest.raises(StorageError, match=r"calibration-0000\.json is not what was stored"):
        jobs.read(folder)
    path.unlink()
    with pytest.raises(
        StorageError, match=r"calibration-0000\.json cannot be read: No such file .*; or delete the line"
    ):
        jobs.read(folder)
    log = folder / "log.jsonl"
    log.write_text("".join(line for line in log.read_text().splitlines(keepends=True) if "calibrated" not in line))
    assert {run.calibration_of for run in jobs.read(folder)} == {"request"}


@pytest.mark.parametrize("why", ["never said when it ran", "tells no properties of that time", "job deleted at once"])
def test_where_the_service_does_not_tell_the_calibration_is_that_of_the_request(cloud, backend, monkeypatch, why):
    if why == "never said when it ran":
        monkeypatch.setattr(Client, "job_metadata", lambda self, job_id: {"timestamps": None})
    elif why == "tells no properties of that time":
        cloud.remembers = False
    else:

        def refuse(self, job_id):
            raise RequestsApiError("404 Client Error: Job not found", 404)

        monkeypatch.setattr(Client, "job_metadata", refuse)
    (run,) = execute([flip()], backend, shots=30, seed=1)
    assert run.calibration_of == "request"
    assert run.calibration.identity == find_machine(backend).calibration.identity
    older = json.loads(run.to_json())
    del older["calibration_of"]
    assert Run.from_json(json.dumps(older)).calibration_of == "request"


@pytest.mark.parametrize("another", [False, True])
def test_a_sampler_collects_with_the_account_of_its_backend(cloud, backend, another):
    if another:
        save_account("another", "another")
    result = MitigatedSampler(backend, twirls=2, seed=1, method="none").run([flip()], shots=20).result()
    assert result[0].data.meas.get_counts() == {"01": 20}


def test_the_runtimes_own_twirling_rounds_shots_up(cloud, backend):
    (run,) = execute([flip()], backend, shots=100, twirls=3, twirling="server", seed=1)
    assert run.counts.to_counts() == {"01": 102}


def test_references_of_another_share_of_the_shots_are_jobs_apart(cloud, backend):
    """A job gives all its circuits the same shots."""
    (run,) = execute([flip()], backend, shots=30, twirls=3, seed=1, reference=True, reference_share=2)
    assert (run.counts.shots, run.reference.counts.shots) == (30, 60)
    assert run.counts.to_counts() == {"01": 30}
    assert list(cloud.jobs) == ["c001", "c002"]
    machine = find_machine(backend)
    once, twice = (Options(shots=30, twirls=3, reference=True, reference_share=share) for share in (1, 2))
    assert estimate_usage(prepare([flip()], machine, twice)) > estimate_usage(prepare([flip()], machine, once)) + 2


def test_the_age_of_a_reference_counts_from_when_it_ran(cloud, backend):
    """It counted from the request, and so included the hours in the queue."""
    (run,) = execute([flip()], backend, shots=30, twirls=3, seed=1, reference=True)
    reference = run.reference
    ran = datetime.datetime(2026, 11, 26, tzinfo=datetime.UTC)  # as the service says
    assert datetime.datetime.fromisoformat(reference.measured_at) == ran
    assert reference.age(ran + datetime.timedelta(hours=3)) == 3
    again = MeasuredReference.from_json(reference.to_json())
    assert (again.measured_at, again.to_json()) == (reference.measured_at, reference.to_json())
    older = dataclasses.replace(reference, measured_at="")
    assert '"measured_at":' not in older.to_json()
    asked = [request_digest([flip()], "m", Options(), 1, [one]) for one in (reference, older)]
    assert asked[0] == asked[1], "of a folder that an earlier version wrote"
    with pytest.raises(ValueError, match="measured_at must be a time with its offset from UTC"):
        MeasuredReference.from_json(reference.to_json().replace(reference.measured_at, "today"))


def submitted(backend, tmp_path):
    """Three jobs of two circuits."""
    request = prepare([flip(), flip()], find_machine(backend), Options(shots=30, twirls=3, max_circuits=2), seed=4)
    return jobs.submit(request, find_machine(backend), tmp_path / "run")


def right(runs):
    assert [run.counts.to_counts() for run in runs] == [{"01": 30}] * 2


def test_another_process_collects_with_the_service_it_is_given(cloud, backend, tmp_path):
    folder = submitted(backend, tmp_path)
    with pytest.raises(AccountError, match="no IBM Quantum account"):
        jobs.collect(folder)
    save_account("another", "another")
    with pytest.raises(JobError, match=r"3 of 3 jobs .* job c001 is lost: this account has no job 'c001'"):
        jobs.collect(folder)
    right(jobs.collect(folder, service=cloud.account("mine")))
    assert cloud.spent == 3
    right(jobs.read(folder))


def test_one_deleted_job_keeps_no_other_back(cloud, backend, tmp_path):
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    cloud.delete("c002")
    found = jobs.status(folder, service=service)
    assert [part.status for part in found] == ["DONE", "LOST", "DONE"]
    assert "may also have been deleted" in found[1].reason
    for _ in range(2):
        with pytest.raises(JobError, match=r"1 of 3 jobs .* job c002 is lost: this account has no job.*--resubmit"):
            jobs.collect(folder, service=service)
    assert sorted(path.name for path in (folder / "results").iterdir()) == ["0000.json", "0002.json"]
    with pytest.raises(JobError, match=r"1 of 3 results are not in .*: qcluster jobs collect"):
        jobs.read(folder)
    cloud.jobs.clear()  # the others are here already
    right(jobs.collect(folder, service=service, resubmit=True))
    assert cloud.spent == 4


def test_a_result_that_has_expired_is_a_lost_one(cloud, backend, tmp_path):
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    cloud.jobs["c001"]["results"] = None
    with pytest.raises(JobError, match=r"1 of 3 jobs .* job c001 is lost: the service no longer keeps the result"):
        jobs.collect(folder, service=service)
    right(jobs.collect(folder, service=service, resubmit=True))
    assert cloud.spent == 4


def test_a_failed_job_is_sent_again_at_the_first_asking(cloud, backend, tmp_path):
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    cloud.jobs["c003"].update(status="Cancelled - ran too long", reason="the fridge is warm")
    right(jobs.collect(folder, service=service, resubmit=True))
    assert cloud.spent == 4


def test_a_service_that_does_not_answer_for_one_job_loses_nothing(cloud, backend, tmp_path, monkeypatch):
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    cut_off(service, "c001", monkeypatch)
    for wanted in ({}, {"wait": True}, {"resubmit": True}):
        with pytest.raises(JobError, match=r"1 of 3 jobs .* could not be looked at: job c001 cannot be reached"):
            jobs.collect(folder, service=service, **wanted)
    assert len(list((folder / "results").iterdir())) == 2
    monkeypatch.undo()
    right(jobs.collect(folder, service=service))
    assert cloud.spent == 3


def test_a_refused_submission_keeps_results_that_came(cloud, backend, tmp_path, monkeypatch):
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    cloud.delete("c002")
    with monkeypatch.context() as patch:
        patch.setattr(service, "backend", lambda name: (_ for _ in ()).throw(OSError("no route")))
        with pytest.raises(AccountError, match="can use no machine"):
            jobs.collect(folder, service=service, resubmit=True)
    assert len(list((folder / "results").iterdir())) == 2
    right(jobs.collect(folder, service=service))


def test_results_are_brought_in_although_the_machine_is_gone_for_the_rest(cloud, backend, tmp_path, monkeypatch):
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    log = folder / "log.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(line for line in lines if json.loads(line).get("part") != 2))  # as if killed before it
    cloud.delete("c003")
    with monkeypatch.context() as patch:
        patch.setattr(service, "backend", lambda name: (_ for _ in ()).throw(OSError("retired")))
        with pytest.raises(AccountError, match="can use no machine"):
            jobs.collect(folder, service=service)
    assert len(list((folder / "results").iterdir())) == 2
    right(jobs.collect(folder, service=service))


@pytest.mark.parametrize(
    ("circuits", "shots", "said"),
    [
        (2, 5, "must have 10 shots; got 5"),
        (1, 10, "must hold the results of 2 circuits; it holds 1"),
        (0, 10, r"must have the registers \{'meas': 2\}; got \{'other': 2\}"),
    ],
)
def test_a_result_that_is_not_what_was_asked_for_is_refused_and_kept(cloud, backend, tmp_path, circuits, shots, said):
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    strange = QuantumCircuit(2)
    strange.measure_all()
    if not circuits:
        from qiskit import ClassicalRegister

        strange = QuantumCircuit(*strange.qregs, ClassicalRegister(2, "other"))
        strange.measure([0, 1], [0, 1])
    other = [strange] * (circuits or 2)
    execute(other, backend, shots=shots, seed=1)
    cloud.jobs["c001"]["results"] = cloud.jobs["c004"]["results"]
    for _ in range(2):
        with pytest.raises(
            JobError, match=rf"1 of 3 jobs .* c001 gave a result that does not belong to these circuits: .*{said}"
        ):
            jobs.collect(folder, service=service)
    assert sorted(path.name for path in (folder / "results").iterdir()) == [
        "0000.refused-1.json",
        "0001.json",
        "0002.json",
    ]
    right(jobs.collect(folder, service=service, resubmit=True))


def test_the_remarks_of_the_executor_are_kept(cloud, backend, tmp_path):
    folder = submitted(backend, tmp_path)
    jobs.collect(folder, service=cloud.account("mine"))
    content = json.loads((folder / "results" / "0000.json").read_text())["__value__"]["metadata"]
    assert content["executor"]["chunk_timing"]
    assert content["qcluster"]["part"] == 0


def test_a_foreign_part_is_not_taken_for_ones_own(cloud, backend, tmp_path):
    """Also where the log is lost, and with it the hashes."""
    folder = submitted(backend, tmp_path)
    jobs.collect(folder, service=cloud.account("mine"))
    first, third = folder / "results" / "0000.json", folder / "results" / "0002.json"
    for lost in (False, True):
        texts = first.read_text(), third.read_text()
        if lost:
            (folder / "log.jsonl").unlink()
        first.write_text(texts[1]), third.write_text(texts[0])
        with pytest.raises(StorageError, match="must be part 0 of"):
            jobs.read(folder)
        first.write_text(texts[0]), third.write_text(texts[1])
