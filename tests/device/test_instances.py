"""Accounts with several instances: a job is sent through the instance of its backend, and found there again."""

import json

import pytest
import qiskit_ibm_runtime.qiskit_runtime_service as runtime_service
from qiskit import QuantumCircuit
from qiskit_ibm_runtime.accounts.account import Account
from qiskit_ibm_runtime.api.exceptions import RequestsApiError

from qcluster.device import jobs
from qcluster.device.machines.machine import find_machine
from qcluster.device.prepare import Options, prepare
from qcluster.errors import AccountError, JobError
from tests.device.cloud import Client, instance_of, save_account

INSTANCES = {"person": ("free", "paid"), "colleague": ("other",)}
"""Names of the instances of each account."""


class InstanceClient(Client):
    """A job belongs to the instance through which it was sent, and an account may use its own instances only."""

    def __init__(self, cloud, params):
        super().__init__(cloud, params)
        self._account, self._token = params.token, params.instance

    def _check(self):
        if self._instance not in [instance_of(name)["crn"] for name in INSTANCES[self._account]]:
            raise RequestsApiError("403 Client Error: Forbidden", 403)

    def list_backends(self, _mocks=False):
        self._check()
        return super().list_backends()

    def jobs_get(self, **which):
        self._check()
        return super().jobs_get(**which)


@pytest.fixture
def account(cloud, monkeypatch):
    """Save an account, with or without a default instance."""
    monkeypatch.setattr(runtime_service, "RuntimeClient", lambda params: InstanceClient(cloud, params))
    monkeypatch.setattr(
        Account, "list_instances", lambda account: [instance_of(name) for name in INSTANCES[account.token]]
    )
    return save_account


def submitted(directory, instance=None):
    """Three jobs of a circuit each."""
    circuit = QuantumCircuit(2, name="flip")
    circuit.x(0)
    circuit.measure_all()
    machine = find_machine("ibm_manila", instance=instance)
    request = prepare([circuit], machine, Options(shots=30, twirls=3, max_circuits=1), seed=4)
    return jobs.submit(request, machine, directory)


def owners(cloud):
    return [job["owner"].split("/")[1].split(":")[0] for job in cloud.jobs.values()]


def forget(directory, event, part):
    """Leave out lines of the log, as if the process had been killed before it wrote them."""
    log = directory / "log.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    log.write_text(
        "".join(json.dumps(line) + "\n" for line in lines if (line["event"], line.get("part")) != (event, part))
    )


def right(runs):
    assert [run.counts.to_counts() for run in runs] == [{"01": 30}]


def test_a_job_without_an_id_is_found_in_any_instance(cloud, account, tmp_path):
    account("person")
    directory = submitted(tmp_path / "run")
    forget(directory, "submitted", 2)
    right(jobs.collect(directory))
    assert owners(cloud) == ["free"] * 3


@pytest.mark.parametrize("default", ["free", "paid", None])
def test_jobs_go_through_the_chosen_instance_and_are_collected_from_there(cloud, account, tmp_path, default):
    account("person", default)
    directory = submitted(tmp_path / "run", "paid")
    assert owners(cloud) == ["paid"] * 3
    assert jobs.RunFolder(directory).request.instance == instance_of("paid")["crn"]
    right(jobs.collect(directory))
    assert jobs.fetch("c001", as_read=True)[0].data.meas.num_shots == 10


def test_the_rest_of_a_request_is_sent_through_the_same_instance(cloud, account, tmp_path):
    account("person", "free")
    directory = submitted(tmp_path / "run", "paid")
    for event in ("submitting", "submitted"):
        forget(directory, event, 2)
    cloud.delete("c003")
    right(jobs.collect(directory))
    assert owners(cloud) == ["paid"] * 3


def test_another_account_sends_nothing_again(cloud, account, tmp_path):
    """Its jobs would be paid for a second time."""
    account("person")
    directory = submitted(tmp_path / "run")
    account("colleague")
    sent_through = r"It was sent through crn:v1:.*: an account without this instance cannot see it\. Results"
    with pytest.raises(JobError, match=rf"job c001 is lost: this account has no job 'c001'.*\. {sent_through}"):
        jobs.collect(directory)
    with pytest.raises(AccountError, match=r"can use no machine 'ibm_manila' in the instance 'crn:.*free"):
        jobs.collect(directory, resubmit=True)
    assert cloud.spent == 3
    account("person")
    right(jobs.collect(directory))


def test_a_request_that_names_no_instance_is_read(cloud, account, tmp_path):
    account("person", "free")
    directory = submitted(tmp_path / "run")
    content = json.loads(jobs.RunFolder(directory).request.to_json())
    assert content.pop("instance")
    assert jobs.Request.from_json(json.dumps(content)).instance == ""
    with pytest.raises(ValueError, match="instance must be a text; got 7"):
        jobs.Request.from_json(json.dumps(content | {"instance": 7}))


@pytest.mark.parametrize("default", ["free", None])
def test_the_least_busy_machine_of_an_instance(cloud, account, monkeypatch, default):
    def queues(self, _mocks=False):
        self._check()
        return [{"name": cloud.name, "status": {"name": "online"}, "queue_length": 1}]

    monkeypatch.setattr(InstanceClient, "list_backends", queues)
    account("person", default)
    assert find_machine("least_busy", instance="paid").instance == instance_of("paid")["crn"]
    assert find_machine("least_busy").instance == instance_of("free")["crn"]
    with pytest.raises(AccountError, match=r"refused the account .* the instance"):
        find_machine("least_busy", instance="other")
