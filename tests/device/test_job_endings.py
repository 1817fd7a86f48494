"""Jobs that fail, are cancelled or are charged for, machines that change meanwhile, and what is refused before."""

import base64
import json
import re
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.fake_provider import FakeFractionalBackend
from typer.testing import CliRunner

from qcluster.cli.main import app
from qcluster.device import MitigatedSampler, jobs
from qcluster.device.execute import execute
from qcluster.device.jobs import folder as folder_module
from qcluster.device.jobs.folder import RunFolder
from qcluster.device.machines.machine import find_machine
from qcluster.device.prepare import Options, prepare
from qcluster.errors import JobError, StorageError
from tests.device.cloud import Client, Cloud, cut_off, save_account
from tests.device.test_cloud import flip, right, submitted

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:qiskit_ibm_runtime")


def refuse_after(monkeypatch, number):
    """Let the service take no more than a number of jobs."""
    take = Client.program_run

    def refuse(self, *arguments, **options):
        if self._cloud.spent >= number:
            raise RequestsApiError("429 Client Error: Too many jobs", 429)
        return take(self, *arguments, **options)

    monkeypatch.setattr(Client, "program_run", refuse)


@pytest.mark.parametrize(("status", "code"), [("Failed", None), ("Cancelled", 1305)])
def test_a_failed_job_without_a_result_is_a_failed_one(cloud, backend, tmp_path, monkeypatch, status, code):
    """To say why, the runtime's client reads a result that does not exist; 1305 means that it ran too long."""
    tell = Client.job_get

    def with_code(self, job_id, exclude_params=True):
        told = tell(self, job_id)
        return told | {"state": told["state"] | ({"reasonCode": code} if told["state"]["reason"] else {})}

    monkeypatch.setattr(Client, "job_get", with_code)
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    cloud.jobs["c002"].update(status=status, reason="the fridge is warm", results=None)
    with pytest.raises(JobError, match=r"1 of 3 jobs .* job c002 ended as ERROR: .*the fridge is warm\. Results that"):
        jobs.collect(folder, service=service)
    right(jobs.collect(folder, service=service, resubmit=True))
    assert cloud.spent == 4


def test_a_job_that_the_service_cancelled_says_why(cloud, backend, tmp_path):
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    cloud.jobs["c002"].update(status="Cancelled", reason="the session has expired", results=None)
    with pytest.raises(JobError, match=r"job c002 ended as CANCELLED: the session has expired\. Results that"):
        jobs.collect(folder, service=service)


def test_usage_counts_failed_jobs_and_tells_which_are_unknown(cloud, backend, tmp_path, monkeypatch):
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    execute([flip()], backend, shots=5, seed=1)
    cloud.jobs["c001"]["results"] = cloud.jobs["c004"]["results"]  # does not fit, and is refused
    right(jobs.collect(folder, service=service, resubmit=True))
    assert jobs.usage(folder, service=service) == {"c001": 3, "c002": 3, "c003": 3, "c005": 3}
    cloud.delete("c002")
    assert jobs.usage(folder, service=service) == pytest.approx(
        {"c001": 3, "c002": float("nan"), "c003": 3, "c005": 3}, nan_ok=True
    )
    monkeypatch.setattr(jobs, "open_jobs", lambda *_: jobs.RuntimeService(service=service))
    said = CliRunner().invoke(app, ["jobs", "usage", str(folder)]).output
    assert "c002  unknown: the service no longer has this job\n" in said
    assert said.endswith("charged so far: 9 s\n")


def test_one_job_that_cannot_be_cancelled_keeps_no_other_running(cloud, backend, tmp_path, monkeypatch):
    cloud.begins_as = "Queued"
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    cut_off(service, "c001", monkeypatch)
    with pytest.raises(JobError, match="job c001 cannot be reached: no route"):
        jobs.cancel(folder, service=service)
    assert [job["status"] for job in cloud.jobs.values()] == ["Queued", "Cancelled", "Cancelled"]


@pytest.mark.parametrize("announced", [False, True])
def test_what_was_cancelled_before_it_was_sent_is_sent_only_when_asked_for(cloud, backend, tmp_path, announced):
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    cloud.delete("c003")
    gone = {"submitted"} if announced else {"submitting", "submitted"}
    log = folder / "log.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    log.write_text("".join(json.dumps(x) + "\n" for x in lines if x.get("part") != 2 or x["event"] not in gone))
    assert jobs.cancel(folder, service=service) == []
    for _ in range(2):
        with pytest.raises(JobError, match=r"1 of 3 .*; part 2 ended as CANCELLED: cancelled before it was sent\."):
            jobs.collect(folder, service=service)
    assert cloud.spent == 3
    right(jobs.collect(folder, service=service, resubmit=True))
    tags = [tag.split(".", 1)[1] for job in cloud.jobs.values() for tag in job["tags"] if "." in tag]
    assert tags == ["0.1", "1.1", "2.2" if announced else "2.1"]


def test_jobs_that_another_process_sends_meanwhile_do_not_count_as_unsent(cloud, backend, tmp_path, monkeypatch):
    """They ran, were reported as never sent, and with --resubmit would have been paid for twice."""
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    log = folder / "log.jsonl"
    text, lock = log.read_text(), RunFolder.lock
    log.write_text("".join(line for line in text.splitlines(keepends=True) if json.loads(line).get("part") != 2))

    def lock_later(self, **how):
        log.write_text(text)
        return lock(self, **how)

    monkeypatch.setattr(RunFolder, "lock", lock_later)
    with pytest.raises(StorageError, match=r"another process has sent jobs of .* in the meantime: cancel again"):
        jobs.cancel(folder, service=service)
    assert jobs.cancel(folder, service=service) == []
    right(jobs.collect(folder, service=service))
    assert cloud.spent == 3


def test_a_job_that_is_done_but_has_no_id_is_not_cancelled(cloud, backend, tmp_path):
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    *before, last = (folder / "log.jsonl").read_text().splitlines(keepends=True)
    assert json.loads(last)["job_id"] == "c003"
    (folder / "log.jsonl").write_text("".join(before))
    assert jobs.cancel(folder, service=service) == []
    right(jobs.collect(folder, service=service))
    assert cloud.spent == 3


def test_a_refusal_names_the_folder_that_keeps_the_jobs_sent_before(cloud, backend, monkeypatch):
    with monkeypatch.context() as patch:
        refuse_after(patch, 1)
        with pytest.raises(JobError, match=r"429 .*To continue: qcluster jobs collect qcluster-jobs/") as caught:
            execute([flip(), flip()], backend, shots=30, twirls=3, max_circuits=2, seed=4)
        with pytest.raises(JobError, match=r"limits of the plan$"):  # one that the caller chose is known
            execute([flip()], backend, shots=30, directory="chosen")
    assert cloud.spent == 1
    right(jobs.collect(str(caught.value).split()[-1], service=cloud.account("mine")))
    assert cloud.spent == 3


def test_a_sampler_that_is_refused_names_what_it_sent_before(cloud, backend, tmp_path, monkeypatch):
    refuse_after(monkeypatch, 1)
    sampler = MitigatedSampler(backend, seed=1, method="none")
    with pytest.raises(JobError, match=r"429 .*sent before, from /.*qcluster-jobs/qcluster-\d+") as caught:
        sampler.run([(flip(), None, 20), (flip(), None, 40)])
    (run,) = jobs.collect(str(caught.value).split()[-1], service=cloud.account("mine"))
    assert run.counts.to_counts() == {"01": 20}


def test_the_working_directory_may_change_while_a_sampler_waits(cloud, backend, tmp_path, monkeypatch):
    cloud.begins_as, sleep = "Queued", time.sleep
    monkeypatch.setattr(jobs.time, "sleep", lambda _: sleep(0.05))
    job = MitigatedSampler(backend, seed=1, method="none").run([flip()], shots=20)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    cloud.finish()
    assert job.result()[0].data.meas.get_counts() == {"01": 20}
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_process_killed_before_it_had_the_calibration_gets_it_later(cloud, backend, tmp_path, monkeypatch):
    machine, service = find_machine(backend), cloud.account("mine")
    folder = jobs.submit(prepare([flip()], machine, Options(shots=30), seed=4), machine, tmp_path / "run")

    def killed(self, part, calibration):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_calibration", killed)
        with pytest.raises(KeyboardInterrupt):
            jobs.collect(folder, service=service)
    assert (folder / "results" / "0000.json").exists()
    (run,) = jobs.collect(folder, service=service)
    assert (run.calibration_of, cloud.spent) == ("job", 1)


def test_a_calibration_of_a_killed_process_is_replaced_by_what_the_service_gives_later(
    cloud, backend, tmp_path, monkeypatch
):
    """The file of one was kept beside the hash of the other, and no run could be read from the folder."""
    machine, service = find_machine(backend), cloud.account("mine")
    folder = jobs.submit(prepare([flip()], machine, Options(shots=30), seed=4), machine, tmp_path / "run")
    append = RunFolder.append

    def killed(self, event, **facts):
        if event == "calibrated":
            raise KeyboardInterrupt
        append(self, event, **facts)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            jobs.collect(folder, service=service)
    cloud.jobs["c001"]["running"] = "2026-11-26T09:00:00Z"
    for _ in range(2):
        (run,) = jobs.collect(folder, service=service)
        assert run.calibration.readout == pytest.approx(9e-4)


@pytest.mark.parametrize("poll", [-1, "5", float("nan"), None])
def test_the_time_between_two_looks_is_checked_before_anything_is_sent(cloud, backend, tmp_path, poll):
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    cloud.jobs["c001"]["status"] = "Cancelled"
    with pytest.raises(ValueError, match="poll must be a finite number of at least 0; got"):
        jobs.collect(folder, service=service, wait=True, resubmit=True, poll=poll)
    assert cloud.spent == 3


@pytest.mark.parametrize("word", ["execute", "submit"])
def test_least_busy_stays_the_machine_of_the_request(cloud, tmp_path, monkeypatch, word):
    """The queues change, and the same call goes on all the same."""
    queues, tell = {"ibm_manila": 1, "ibm_other": 2}, Client.backend_configuration
    save_account("mine", "mine")
    monkeypatch.setattr(
        Client,
        "list_backends",
        lambda self, _mocks=False: [
            {"name": name, "status": {"name": "online"}, "queue_length": queue} for name, queue in queues.items()
        ],
    )
    monkeypatch.setattr(
        Client,
        "backend_configuration",
        lambda self, backend_name, **how: tell(self, backend_name) | {"backend_name": backend_name},
    )
    circuit, folder = tmp_path / "flip.qasm", tmp_path / "run"
    circuit.write_text('OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; creg c[1]; x q[0]; measure q -> c;')
    for _ in range(2):
        if word == "execute":
            (run,) = execute([flip()], "least_busy", shots=30, seed=1, directory=folder)
            assert run.backend == "ibm_manila"
        else:
            arguments = ["jobs", "submit", str(circuit), "-d", str(folder), "--backend", "least_busy", "--seed", "1"]
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 0, result.exception
        queues["ibm_other"] = 0
    assert [job["backend"] for job in cloud.jobs.values()] == ["ibm_manila"]
    assert execute([flip()], "least_busy", shots=30, seed=1)[0].backend == "ibm_other"
    execute([flip()], "fake_manila", shots=30, seed=1, directory="simulated")
    with pytest.raises(StorageError, match="holds another request already, with backend 'fake_manila'"):
        execute([flip()], "least_busy", shots=30, seed=1, directory="simulated")  # a simulation is not its machine


def test_what_has_arrived_is_read_without_the_rest(cloud, backend, tmp_path, monkeypatch):
    """The machine is gone, and with it the only way to the missing results."""
    folder, service = submitted(backend, tmp_path), cloud.account("mine")  # two circuits of three twirls, two a job
    cloud.jobs["c003"].update(status="Failed", reason="the fridge\nis warm.")
    whole = r"Job c003 has failed: the fridge is warm\. Results .* --partial of mitigate and rates$"
    with pytest.raises(JobError, match=whole):
        jobs.collect(folder, service=service)
    first, second = jobs.read(folder, partial=True)
    assert (first.counts.to_counts(), second.counts.to_counts()) == ({"01": 30}, {"01": 10})
    assert first.notes == ()
    assert second.notes == ("2 of 3 twirls missing",)
    assert (second.flips == jobs.RunFolder(folder).request.prepared[1].flips[:1]).all()
    assert second.job_ids == ("c002",)
    monkeypatch.setattr(jobs, "open_jobs", lambda *_: jobs.RuntimeService(service=service))
    assert CliRunner().invoke(app, ["jobs", "collect", str(folder)]).exit_code == 1
    result = CliRunner().invoke(app, ["jobs", "collect", str(folder), "--partial"])
    assert result.exit_code == 0
    assert "the fridge is warm" in result.stderr
    assert "note: 2 of 3 twirls missing" in result.stdout
    right(jobs.collect(folder, service=service, resubmit=True))
    right(jobs.read(folder, partial=True))


def test_where_nothing_has_arrived_there_is_no_part_to_read(cloud, backend, tmp_path, monkeypatch):
    """An empty list was written, and the command succeeded."""
    cloud.begins_as = "Queued"
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    monkeypatch.setattr(jobs, "open_jobs", lambda *_: jobs.RuntimeService(service=service))
    result = CliRunner().invoke(app, ["jobs", "collect", str(folder), "--partial", "--json", str(tmp_path / "counts")])
    assert "3 of 3 jobs" in str(result.exception)
    assert not (tmp_path / "counts").exists()


@pytest.mark.parametrize(("lost", "shots"), [(0, [30, 30]), (1, [30, 30]), (2, [None, 30]), (3, [30, None])])
def test_what_has_arrived_keeps_its_reference(cloud, backend, tmp_path, lost, shots):
    """Two circuits, each with a reference of its own, in four jobs."""
    two = QuantumCircuit(2, name="other")
    two.h(0)
    two.cx(0, 1)
    two.measure_all()
    options = Options(shots=30, twirls=3, max_circuits=3, reference=True)
    request = prepare([flip(), two], find_machine(backend), options, seed=4)
    assert [prepared.serves for prepared in request.prepared] == [(), (), (0,), (1,)]
    folder = jobs.submit(request, find_machine(backend), tmp_path / "run")
    cloud.delete(f"c00{lost + 1}")
    with pytest.raises(JobError, match="1 of 4 jobs"):
        jobs.collect(folder, service=cloud.account("mine"))
    runs = jobs.read(folder, partial=True)
    wanted = [(name, shots[i]) for i, name in enumerate(("flip", "other")) if lost != i]
    assert [(run.profile.name, run.reference and run.reference.counts.shots) for run in runs] == wanted
    noted = [run.profile.name for run in runs if "1 of 1 reference missing" in run.notes]
    assert noted == [name for name, measured in wanted if not measured]


def test_the_circuits_that_have_arrived_keep_their_numbers(cloud, backend, tmp_path, monkeypatch):
    """`mitigate` refused the folder, and no output showed which circuit a result was of."""
    circuits = [flip(), flip(), flip()]
    circuits[2].x(1)
    circuits[2].measure_all(add_bits=False)
    request = prepare(circuits, find_machine(backend), Options(shots=30, max_circuits=1), seed=4)
    folder, service = jobs.submit(request, find_machine(backend), tmp_path / "run"), cloud.account("mine")
    cloud.delete("c002")
    monkeypatch.setattr(jobs, "open_jobs", lambda *_: jobs.RuntimeService(service=service))
    file = tmp_path / "counts.json"

    def run(*arguments):
        return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=True)

    shown = run("jobs", "collect", folder, "--partial", "--json", file)
    assert shown.exit_code == 0
    assert "circuit 1: nothing has arrived" in shown.stdout
    wanted = [{"01": 30}, None, {"11": 30}]
    assert [run and run.counts.to_counts() for run in jobs.read_arrived(folder)] == wanted
    assert json.loads(file.read_text()) == [counts and {"counts": counts} for counts in wanted]
    for source, partial in ((folder, ["--partial"]), (file, [])):
        assert re.search(r"11 +│ 1\.0000", run("mitigate", source, "--pub", 2, *partial).stdout)
        refused = run("mitigate", source, "--pub", 1, *partial)
        assert "and nothing of number 1 has arrived: choose another by --pub" in str(refused.exception)
    assert run("rates", folder, "--pub", 2, "--partial").exit_code == 0
    assert "--partial of mitigate and rates" in str(run("mitigate", folder, "--pub", 2).exception)
    assert "--partial would have no effect" in str(run("mitigate", file, "--pub", 2, "--partial").exception)


def without_registers(results):
    results.clear()


def damaged(results):
    results["meas"]["data"] = "AAAA"


def cut_short(results):
    results["meas"]["data"] = base64.b64encode(zlib.compress(b"bits")[:-4]).decode()


@pytest.mark.parametrize(
    "answer",
    ["[1]", "null", '"x"', "{}", '{"schema_version": "v2.0"}', without_registers, damaged, cut_short],
)
def test_a_result_that_cannot_be_decoded_holds_up_no_other(cloud, backend, tmp_path, answer):
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    if callable(answer):
        content = json.loads(cloud.jobs["c001"]["results"])
        answer(content["data"][0]["results"])
        answer = json.dumps(content)
    cloud.jobs["c001"]["results"] = answer
    with pytest.raises(JobError, match=r"1 of 3 jobs .*; job c001 gave a result that cannot be decoded: .*: upgrade"):
        jobs.collect(folder, service=service)
    kept = ["0000.refused-1.json", "0001.json", "0002.json"]
    assert sorted(path.name for path in (folder / "results").iterdir()) == kept
    assert (folder / "results" / kept[0]).read_text() == answer


@pytest.mark.parametrize(("upgraded", "sent"), [(True, 4), (False, 5)])
def test_a_result_that_cannot_be_decoded_is_sent_again_only_after_it_was_reported(
    cloud, backend, tmp_path, upgraded, sent
):
    """It was taken for one that the service did not return, which --resubmit skips. A later client may decode it."""
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    answer = cloud.jobs["c001"]["results"]
    cloud.jobs["c001"]["results"] = '{"schema_version": "v9.0"}'
    cloud.jobs["c002"].update(status="Failed", reason="the fridge is warm", results=None)
    with pytest.raises(JobError, match=r"1 of 3 jobs .*; job c001 gave a result that cannot be decoded"):
        jobs.collect(folder, service=service, resubmit=True)
    assert cloud.spent == 4  # c002 again
    if upgraded:
        cloud.jobs["c001"]["results"] = answer
    right(jobs.collect(folder, service=service, resubmit=True))
    assert cloud.spent == sent


@pytest.fixture
def fractional(monkeypatch, tmp_path):
    """A service whose machine offers rx and rzz to those who ask for them, and a circuit that uses them."""
    monkeypatch.chdir(tmp_path)
    cloud = Cloud(FakeFractionalBackend()).install(monkeypatch, tmp_path)
    circuit = QuantumCircuit(2, name="fractional")
    circuit.rx(0.2, 0)
    circuit.rzz(0.3, 0, 1)
    circuit.measure_all()
    return cloud, circuit


def test_the_calibration_of_a_job_has_the_fractional_gates_of_its_circuits(fractional, tmp_path):
    """The runtime opens the machine of a job without them."""
    cloud, circuit = fractional
    backend = cloud.account("mine").backend(cloud.name, use_fractional_gates=True)
    (run,) = execute([circuit], backend, shots=30, seed=1, directory=tmp_path / "run")
    assert "rzz" in run.profile.circuit.count_ops()
    assert (run.calibration_of, run.calibration.gates_2q) == ("job", ("cx", "rzz"))
    machine = find_machine(backend)
    directory = jobs.submit(prepare([circuit], machine, Options(shots=30), seed=1), machine, tmp_path / "other")
    (run,) = jobs.collect(directory, service=cloud.account("mine"))
    assert (run.calibration_of, run.calibration.gates_2q) == ("request", ("cx", "rzz"))


def test_a_killed_request_with_fractional_gates_is_decoupled_and_sent(fractional, tmp_path):
    cloud, circuit = fractional
    machine = find_machine(cloud.account("mine").backend(cloud.name, use_fractional_gates=True))
    request = prepare([circuit], machine, Options(shots=30, dd="XX"), seed=1)
    RunFolder(tmp_path / "run").write_request(request)
    (run,) = jobs.collect(tmp_path / "run", service=cloud.account("mine"))
    assert run.counts.shots == 30


def feed_forward():
    circuit = QuantumCircuit(2, 2, name="forward")
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    return circuit


def overwritten():
    circuit = QuantumCircuit(2, 1, name="overwritten")
    circuit.measure([0, 1], [0, 0])
    return circuit


@pytest.mark.parametrize(
    ("circuit", "options", "said"),
    [
        (feed_forward, {"dd": "XX"}, "'forward': Dynamical decoupling is not compatible with dynamic circuits"),
        (feed_forward, {"twirls": 3, "twirling": "server"}, "'forward': .*if_else.* is not supported"),
        (overwritten, {"twirls": 3, "twirling": "server"}, "'overwritten': Cannot twirl more than one measurement"),
    ],
)
def test_what_the_runtime_refuses_is_refused_before_anything_is_paid(cloud, backend, circuit, options, said):
    with pytest.raises(ValueError, match=f"the runtime's Sampler cannot run {said}"):
        execute([flip(), circuit()], backend, shots=30, seed=1, max_circuits=1, **options)
    assert cloud.spent == 0
    (run,) = execute([circuit()], backend, shots=30, seed=1)
    assert run.shots == 30


def test_names_that_the_runtime_or_qpy_cannot_carry_are_refused(cloud, backend):
    register = ClassicalRegister(1, "measurement_flips.c")
    strange = QuantumCircuit(QuantumRegister(1), register, name="strange")
    strange.measure(0, 0)
    with pytest.raises(ValueError, match=r"may not begin with 'measurement_flips\.'"):
        execute([strange], backend, shots=30)
    long = flip()
    long.name = "ψ" * 40_000
    with pytest.raises(ValueError, match=r"names of circuits and registers must be shorter than 65,536 bytes; got ψψ"):
        execute([long], backend, shots=30)
    long.name = "ψ" * 30_000
    (run,) = execute([long], backend, shots=30, seed=1)
    assert run.profile.name == long.name
    assert cloud.spent == 1


@pytest.mark.parametrize("value", [1j, {1, 2}, np.int64(3)])
def test_metadata_that_are_not_json_are_refused_before_anything_is_sent(cloud, backend, value):
    """Qiskit's QPY refused them, in its own words."""
    circuit = flip()
    circuit.metadata = {"angle": value}
    with pytest.raises(ValueError, match="metadata of circuits must be JSON; those of 'flip' are not: Object of type"):
        execute([circuit], backend, shots=30)
    assert cloud.spent == 0


SUBMITS = """
from pathlib import Path
from types import SimpleNamespace
from threading import Event
from qcluster.device.sampler_job import SamplerJob

sent = SimpleNamespace(ids=("c001",), directory=Path("run"), service=object())
print(SamplerJob(Event().wait, [sent]).job_id())
"""


def test_a_process_ends_though_the_job_of_its_sampler_waits_in_the_queue():
    """It ended hours later, when the service was done."""
    done = subprocess.run([sys.executable, "-c", SUBMITS], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "c001\n"


def test_what_is_set_for_the_next_run_of_a_sampler_leaves_one_that_waits(cloud, backend, monkeypatch):
    cloud.begins_as, sleep = "Queued", time.sleep
    monkeypatch.setattr(jobs.time, "sleep", lambda _: sleep(0.05))
    sampler = MitigatedSampler(backend, seed=1, method="none")
    job = sampler.run([flip()], shots=20)
    sampler.method, sampler.backend = "mixture", "aer"
    cloud.finish()
    assert job.result()[0].metadata["mitigations"].item().method == "none"
    again = sampler.run([flip()], shots=20).result()[0].metadata
    assert (again["mitigations"].item().method, again["runs"].item().backend) == ("mixture", "aer_simulator")


def test_a_sampler_cancels_all_that_it_can(cloud, backend, monkeypatch):
    cloud.begins_as, sleep, cancelled = "Queued", time.sleep, Client.job_cancel
    monkeypatch.setattr(jobs.time, "sleep", lambda _: sleep(0.05))

    def refuse(self, job_id):
        if job_id == "c001":
            raise RequestsApiError("503 Service Unavailable", 503)
        cancelled(self, job_id)

    job = MitigatedSampler(backend, seed=1, method="none").run([(flip(), None, 20), (flip(), None, 40)])
    with monkeypatch.context() as patch:
        patch.setattr(Client, "job_cancel", refuse)
        with pytest.raises(JobError, match=r"job c001 was not cancelled: .*503"):
            job.cancel()
    assert [job["status"] for job in cloud.jobs.values()] == ["Queued", "Cancelled"]
    cloud.finish()
    with pytest.raises(JobError, match="job c002 ended as CANCELLED"):
        job.result()


def test_each_line_of_the_log_is_parsed_once(cloud, backend, tmp_path, monkeypatch):
    """The log is read for each result, so that the time would grow with the square of their number."""
    folder_module._read_event.cache_clear()
    parsed, parse = [], folder_module.parse_json
    monkeypatch.setattr(folder_module, "parse_json", lambda line: parsed.append(line) or parse(line))
    folder, service = submitted(backend, tmp_path), cloud.account("mine")
    for _ in range(2):
        right(jobs.collect(folder, service=service))
    assert sorted(parsed) == sorted((folder / "log.jsonl").read_bytes().splitlines())
