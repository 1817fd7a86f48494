"""Submit now, collect later: against a service that plays back recordings, and never a real one."""

import pytest

from qcluster.bench.campaign import run
from qcluster.bench.remote import NOT_DONE, collect, submit
from qcluster.bench.store import Store, load_samples, read_scores
from qcluster.bench.tasks import cases_of_file, find_case, parse_campaign
from qcluster.errors import JobError, StorageError
from tests.bench.test_cli_bench import call

PLAN = {"cases": ["ghz:3", "bv:3"], "machines": ["ibm_manila"], "shots": 60, "twirls": 2, "methods": ["identity"]}


@pytest.fixture(scope="module")
def machine():
    """A recorded machine that claims to be hardware; nothing is ever sent to it."""
    from qiskit_ibm_runtime.fake_provider import FakeManilaV2

    from qcluster.device.machines.machine import Machine, find_machine

    found = find_machine(FakeManilaV2())
    return Machine(found.backend, "hardware", found.calibration)


@pytest.fixture
def service(machine, monkeypatch, tmp_path):
    """Outcomes are simulated without noise when a request arrives, which a real service does not see."""
    import qcluster.device.execute  # noqa: F401  else it may take the function below for good, for all later tests
    from tests.device.recorded import RecordedService, record

    monkeypatch.setattr("qcluster.device.machines.machine.find_machine", lambda name: machine)

    class Service(RecordedService):
        def submit(self, request, circuits, shots, tag):
            self.recording = record(request)
            return super().submit(request, circuits, shots, tag)

    return Service(tmp_path / "service", {})


def clean(steps):
    steps = list(steps)
    assert not [step.error for step in steps if step.error]
    return steps[-1]


def test_submit_and_collect(service, tmp_path):
    plan, folder = parse_campaign(PLAN), tmp_path / "c"
    last = clean(submit(plan, folder, service=service))
    assert (last.done, last.total) == (2, 2)
    assert len(service.jobs()) == 2
    last = clean(collect(folder, ("identity", "m3"), service=service))
    assert (last.done, last.total) == (2, 2)
    rows = read_scores(folder)
    assert {row["method"] for row in rows} == {"identity", "m3"}
    assert all(float(row["hellinger_fidelity"]) > 0.9 for row in rows if row["method"] == "identity")
    first, second = load_samples(folder)
    assert first.counts.shots == second.counts.shots == 60
    assert set(second.counts.to_probs()) == {"111"}
    assert first.run.calibration.backend == "fake_manila"


def test_nothing_is_sent_or_fetched_twice(service, tmp_path):
    plan, folder = parse_campaign(PLAN), tmp_path / "c"
    for _ in range(2):
        clean(submit(plan, folder, service=service))
    assert len(service.jobs()) == 2
    for _ in range(2):
        assert clean(collect(folder, service=service)).done == 2
    clean(submit(plan, folder, service=service))
    assert len(service.jobs()) == 2
    assert len(read_scores(folder)) == 2


def test_what_is_collected_is_scored_by_the_methods_of_the_campaign(service, tmp_path, monkeypatch):
    """The file's list had no effect, and a method of one's own none at all."""
    monkeypatch.setattr("qcluster.device.jobs.open_jobs", lambda given=None, machine=None: given or service)
    (tmp_path / "c.toml").write_text(
        'cases = "ghz:3"\nmachines = "ibm_manila"\nshots = 60\ntwirls = 2\nmethods = ["plurality", "math:floor"]\n'
    )
    output = call("submit", tmp_path / "c.toml", "--out", tmp_path / "c")
    assert "bench collect" in output
    assert "math:floor failed on 1 of 1" in " ".join(call("collect", tmp_path / "c").split())
    assert {row["method"]: row["status"] for row in read_scores(tmp_path / "c")} == {
        "identity": "ok", "plurality": "ok", "math:floor": "failed",
    }  # fmt: skip


def test_the_account_is_opened_once_for_all_tasks(service, tmp_path, monkeypatch):
    """It was opened again to look at, send and fetch each of them, which takes seconds."""
    opened = []
    monkeypatch.setattr("qcluster.device.jobs.RuntimeService", lambda *_, **__: opened.append(1) or service)
    clean(submit(parse_campaign(PLAN), tmp_path / "c"))
    clean(submit(parse_campaign(PLAN), tmp_path / "c"))
    assert len(opened) == 2
    assert clean(collect(tmp_path / "c")).done == 2
    assert len(opened) == 3


def test_a_job_that_the_list_has_lost_is_listed_again(service, tmp_path):
    """A power cut may take the last line of a table, and a hand a line; the job is paid for and was never collected."""
    plan, folder = parse_campaign(PLAN), tmp_path / "c"
    clean(submit(plan, folder, service=service))
    for lost in ((folder / "jobs.csv").read_text().splitlines(keepends=True)[:2], []):
        (folder / "jobs.csv").write_text("".join(lost))
        clean(submit(plan, folder, service=service))
        assert len(service.jobs()) == 2
        with Store(folder) as store:
            assert set(store.submitted()) == set(plan.tasks())
    assert clean(collect(folder, service=service)).done == 2


def test_what_is_queued_waits_and_what_failed_says_why(service, tmp_path):
    folder = tmp_path / "c"
    clean(submit(parse_campaign(PLAN), folder, service=service))
    service.set("job-000", status="QUEUED")
    service.set("job-001", status="ERROR", reason="the fridge is warm")
    steps = list(collect(folder, service=service))
    assert steps[1].error.startswith(NOT_DONE)
    assert "the fridge is warm" in steps[2].error
    assert not steps[2].error.startswith(NOT_DONE)
    assert steps[-1].done == 0
    service.set("job-000", status="DONE")
    assert list(collect(folder, service=service))[-1].done == 1


def test_a_deleted_job_and_a_damaged_run_keep_no_other_back(service, tmp_path):
    plan = parse_campaign({**PLAN, "seeds": [0, 1]})
    folder = tmp_path / "c"
    clean(submit(plan, folder, service=service))
    (service.root / "job-000.json").unlink()
    second = sorted((folder / "jobs").iterdir(), key=lambda place: place.stat().st_mtime_ns)[1]
    (second / "request.json").write_text("{}")
    steps = list(collect(folder, service=service))
    assert (steps[-1].done, steps[-1].total) == (2, 4)
    said = [step.error for step in steps if step.error]
    assert len(said) == 2
    assert "job job-000 is lost" in said[0]
    assert not said[0].startswith(NOT_DONE)
    assert "request.json cannot be read" in said[1]


def test_a_damaged_run_keeps_no_other_from_being_sent(service, tmp_path):
    plan, folder = parse_campaign(PLAN), tmp_path / "c"
    clean(submit(parse_campaign({**PLAN, "cases": ["ghz:3"]}), folder, service=service))
    (first,) = (folder / "jobs").iterdir()
    for name, said in (("request.json", "request.json cannot be read"), ("log.jsonl", "log.jsonl cannot be read")):
        whole = (first / name).read_text()
        (first / name).write_text("{}\n")
        steps = list(submit(plan, folder, service=service))
        assert [said in step.error for step in steps] == [False, True, False]
        (first / name).write_text(whole)
    assert len(service.jobs()) == 2
    assert clean(collect(folder, service=service)).done == 2


def test_a_refused_task_is_sent_by_the_next_submit(service, tmp_path):
    plan, folder = parse_campaign(PLAN), tmp_path / "c"
    calls = []

    def refuse():
        calls.append(1)
        if len(calls) == 1:
            raise JobError("come back tomorrow")

    service.hook = refuse
    steps = list(submit(plan, folder, service=service))
    assert [step.error for step in steps if step.error] == ["come back tomorrow"]
    assert len(service.jobs()) == 1
    clean(submit(plan, folder, service=service))
    assert len(service.jobs()) == 2
    assert clean(collect(folder, service=service)).done == 2


def test_what_does_not_fit_its_machine_keeps_no_other_back(service, tmp_path):
    """The middle one needs 7 qubits of 5: it is told, and is neither sent nor waited for."""
    plan, folder = parse_campaign(PLAN | {"cases": ["ghz:3", "ghz:7", "bv:3"]}), tmp_path / "c"
    for _ in range(2):
        steps = list(submit(plan, folder, service=service))
        (refused,) = (step for step in steps if step.error)
        assert refused.label.startswith("ghz:7 on ibm_manila")
        assert "needs 7 qubits; fake_manila has 5" in refused.error
        assert (steps[-1].done, len(service.jobs())) == (3, 2)
    last = clean(collect(folder, ("identity",), service=service))
    assert (last.done, last.total) == (2, 2)
    assert {row["case"] for row in read_scores(folder)} == {"ghz:3", "bv:3"}


def test_tasks_that_differ_in_any_way_are_told_apart(service, tmp_path):
    """Those of other shots, twirls or decoupling had the same label."""
    ways = {"cases": ["ghz:7"], "shots": [60, 70], "twirls": [1, 2], "dd": [False, True], "seeds": [0, 1]}
    labels = {step.label for step in submit(parse_campaign(PLAN | ways), tmp_path / "c", service=service) if step.error}
    assert len(labels) == 16
    assert "ghz:7 on ibm_manila, 70 shots, 2 twirls, XX, seed 1" in labels


def test_a_circuit_that_changed_since_it_was_sent_is_not_scored(service, tmp_path):
    """Its shots are those of x on the first qubit; the file now asks for x on the second."""
    file, folder = tmp_path / "mine.qasm", tmp_path / "c"
    text = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nx q[0];\nmeasure q -> c;\n'
    file.write_text(text)
    plan = parse_campaign(PLAN | {"cases": ["bv:3"], "files": [str(file)]})
    clean(submit(plan, folder, service=service))
    file.write_text(text.replace("x q[0]", "x q[1]"))
    find_case.cache_clear()
    cases_of_file.cache_clear()
    steps = list(collect(folder, ("identity",), service=service))
    assert ["a different circuit now than when" in step.error for step in steps[1:]] == [False, True]
    assert [row["case"] for row in read_scores(folder)] == ["bv:3"]
    file.write_text(text)
    find_case.cache_clear()
    cases_of_file.cache_clear()
    clean(collect(folder, ("identity",), service=service))
    assert [row["hellinger_fidelity"] for row in read_scores(folder)] == ["1.0", "1.0"]


def test_a_project_that_moves_while_its_jobs_are_queued_is_collected(service, tmp_path):
    project, moved = tmp_path / "project", tmp_path / "moved"
    project.mkdir()
    text = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nx q[0];\nmeasure q -> c;\n'
    (project / "mine.qasm").write_text(text)
    content = {key: value for key, value in PLAN.items() if key != "cases"} | {"files": "mine.qasm"}
    clean(submit(parse_campaign(content, project), project / "c", service=service))
    project.rename(moved)
    clean(submit(parse_campaign(content, moved), moved / "c", service=service))
    assert len(service.jobs()) == 1
    clean(collect(moved / "c", ("identity",), service=service))
    assert [row["hellinger_fidelity"] for row in read_scores(moved / "c")] == ["1.0"]


def test_toys_and_empty_folders_are_named(tmp_path):
    with pytest.raises(ValueError, match="no machine to submit to"):
        list(submit(parse_campaign({**PLAN, "machines": "flips:0.1"}), tmp_path))
    with pytest.raises(StorageError, match=r"must hold tasks that were submitted.*found none"):
        list(collect(tmp_path))


@pytest.mark.parametrize(
    ("machines", "said"),
    [
        (["FakeManilaV2", "fake_manila"], "'FakeManilaV2' and 'fake_manila' are one, whose samples would count twice"),
        (["fake_manila", "fake_manilla"], r"got 'fake_manilla'; did you mean fake_manila"),
    ],
)
def test_misspelled_machines_are_refused_before_anything_is_written(tmp_path, machines, said):
    with pytest.raises(ValueError, match=said):
        list(submit(parse_campaign({**PLAN, "machines": machines}), tmp_path / "c"))
    assert not (tmp_path / "c").exists()


def test_running_never_spends_time_on_a_real_machine(machine, monkeypatch, tmp_path):
    from qcluster.bench import machines
    from qcluster.device.machines import machine as room

    machines._backend.cache_clear()
    monkeypatch.setattr(room, "find_machine", lambda name: machine)
    steps = list(run(parse_campaign(PLAN), tmp_path))
    assert "is a real machine: send the campaign there by `qcluster bench submit`" in steps[-1].error
