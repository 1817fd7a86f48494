"""`qcluster jobs` on a real machine, through the runtime's own classes and the mock of its service."""

import json

import pytest
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.fake_provider import FakeManilaV2
from typer.testing import CliRunner

from qcluster.cli.main import app
from qcluster.device.machines.machine import find_machine
from qcluster.errors import AccountError
from tests.device.cloud import save_account

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:qiskit_ibm_runtime")

BELL = """OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] meas;
h q[0];
cx q[0], q[1];
meas[0] = measure q[0];
meas[1] = measure q[1];
"""


@pytest.fixture
def bell(cloud, tmp_path):
    """A circuit in a file, beside a saved account."""
    save_account("mine", "mine")
    path = tmp_path / "bell.qasm"
    path.write_text(BELL)
    return path


def run(*words):
    result = CliRunner().invoke(app, ["jobs", *map(str, words)])
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.output


def test_the_same_command_goes_on_and_sends_nothing_twice(cloud, bell, tmp_path):
    cloud.begins_as = "Queued"
    words = ("submit", bell, "-d", tmp_path / "run", "--backend", "ibm_manila", "--shots", 40, "--seed", 1)
    first = run(*words)
    assert "estimated use of ibm_manila: 2.0 s" in first
    assert "QUEUED" in first
    assert "holds this request already: continuing it" in run(*words)
    assert cloud.spent == 1
    cloud.finish()
    assert "DONE" in run("status", tmp_path / "run")
    run("collect", tmp_path / "run", "--json", tmp_path / "counts.json")
    assert set(json.loads((tmp_path / "counts.json").read_text())["counts"]) == {"00", "11"}
    assert "charged so far: 3 s" in run("usage", tmp_path / "run")
    assert "no job is waiting or running" in run("cancel", tmp_path / "run")
    assert cloud.spent == 1


def test_cancel_reaches_the_service(cloud, bell, tmp_path):
    cloud.begins_as = "Queued"
    run("submit", bell, "-d", tmp_path / "run", "--backend", "ibm_manila", "--shots", 40, "--twirls", 2,
        "--max-circuits", 1)  # fmt: skip
    assert "cancelled: c001, c002" in run("cancel", tmp_path / "run")
    assert [job["status"] for job in cloud.jobs.values()] == ["Cancelled", "Cancelled"]


def test_what_was_not_sent_is_shown_as_cancelled_and_how_to_send_it(cloud, bell, tmp_path):
    """It read "no job is waiting or running", and then that the request is continued."""
    words = ("submit", bell, "-d", tmp_path / "run", "--backend", "ibm_manila", "--shots", 40, "--seed", 1)
    cloud.refusal = RequestsApiError("503 Server Error: unavailable", 503)
    assert CliRunner().invoke(app, ["jobs", *map(str, words)]).exception
    assert "cancelled before it was sent" in run("cancel", tmp_path / "run")
    cloud.refusal = None
    assert run(*words).endswith(f"next: qcluster jobs collect {tmp_path / 'run'} --resubmit\n")
    assert cloud.spent == 0
    run("collect", tmp_path / "run", "--resubmit")
    assert run(*words).endswith(f"next: qcluster jobs collect {tmp_path / 'run'}\n")
    assert cloud.spent == 1


@pytest.mark.parametrize(("twirling", "shape"), [("client", None), ("server", (4,))])
def test_strategy_and_options_of_the_runtime_arrive_by_the_command_line(cloud, bell, tmp_path, twirling, shape):
    """Ours is four circuits, with pulses on all five qubits of the machine among them, the runtime's one template."""
    runtime = {"max_execution_time": 60, "environment": {"job_tags": ["mine"], "private": True}}
    run("submit", bell, "-d", tmp_path / "run", "--backend", "ibm_manila", "--shots", 64, "--twirls", 4, "--seed", 1,
        "--twirling", twirling, "--strategy", "all", "--runtime", json.dumps(runtime))  # fmt: skip
    job = cloud.jobs["c001"]
    assert (job["told"]["max_execution_time"], job["told"]["private"]) == (60, True)
    assert "mine" in job["tags"]
    items = job["program"].items
    assert len(items) == (4 if shape is None else 1)
    turned = {
        c.circuit.find_bit(q).index for c in items for i in c.circuit.data for q in i.qubits if i.name != "barrier"
    }
    assert turned == set(range(5))
    assert shape is None or items[0].shape == shape
    run("collect", tmp_path / "run")


def test_an_instance_is_chosen_by_name(cloud, bell, tmp_path):
    words = ("submit", bell, "-d", tmp_path / "run", "--backend", "ibm_manila", "--shots", 40)
    assert "DONE" in run(*words, "--instance", "mine")
    with pytest.raises(AccountError, match="no machine 'ibm_manila' in the instance 'other'"):
        find_machine("ibm_manila", instance="other")
    for backend in ("fake_manila", "aer", FakeManilaV2()):
        with pytest.raises(ValueError, match="instance goes with the name of a real machine; got 'mine'"):
            find_machine(backend, instance="mine")


def test_a_refusal_of_the_service_is_one_line(cloud, bell, tmp_path):
    cloud.refusal = OSError("Network is unreachable")
    words = ("jobs", "submit", bell, "-d", tmp_path / "run", "--backend", "ibm_manila", "--shots", 40, "--seed", 1)
    result = CliRunner().invoke(app, [*map(str, words)])
    assert "did not take the job: Network is unreachable: check the network, then try again" in str(result.exception)
    cloud.refusal = None
    assert "continuing it" in run(*words[1:])
    assert cloud.spent == 1
