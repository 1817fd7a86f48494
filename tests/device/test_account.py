"""Each way that the service can fail has one clear message, and none of them shows a credential."""

import logging

import pytest
import qiskit_ibm_runtime
from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit_ibm_runtime.accounts.exceptions import AccountNotFoundError, InvalidAccountError
from qiskit_ibm_runtime.exceptions import IBMRuntimeError, RuntimeJobNotFound
from requests.exceptions import InvalidHeader

from qcluster.device import jobs
from qcluster.device.execute import execute
from qcluster.device.jobs.runtime import RuntimeService, _as_job_errors
from qcluster.device.machines.account import open_backend
from qcluster.errors import AccountError, JobError

TOKEN = "0123456789abcdef-secret"


@pytest.fixture
def service(monkeypatch):
    """A service that does what its class attributes say."""

    class Service:
        opens = gives = None

        def __init__(self, *_, **__):
            if self.opens:
                raise self.opens

        def backend(self, *_, **__):
            raise self.gives

        least_busy = job = jobs = backend

    monkeypatch.setattr(qiskit_ibm_runtime, "QiskitRuntimeService", Service)
    monkeypatch.setenv("QISKIT_IBM_TOKEN", TOKEN)
    return Service


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (AccountNotFoundError("Unable to find account."), "there is no IBM Quantum account.*save_account"),
        (InvalidAccountError(f"bad {TOKEN}"), "refused the account or could not be reached: check the network first"),
        (ValueError(f"'token' {TOKEN} is invalid"), "refused the account"),
        (ConnectionError("no route"), "check the network first"),
    ],
)
def test_no_account_bad_token_no_network(service, ghz, error, message, caplog):
    service.opens = error
    with caplog.at_level(logging.DEBUG), pytest.raises(AccountError, match=message) as caught:
        execute([ghz(2)], "ibm_torino")
    assert TOKEN not in str(caught.value) + caplog.text
    with pytest.raises(AccountError, match=message):
        jobs.fetch("abc")


def test_an_unknown_machine(service, ghz):
    service.gives = QiskitBackendNotFoundError("No backend matches")
    with pytest.raises(AccountError, match=r"no machine 'ibm_nowhere': .*'fake_torino'"):
        execute([ghz(2)], "ibm_nowhere")
    with pytest.raises(AccountError, match="no machine 'least_busy'"):
        open_backend("least_busy")


def test_an_unknown_job_and_a_service_out_of_order(service):
    service.gives = RuntimeJobNotFound("Job not found")
    with pytest.raises(JobError, match="no job 'abc': check the id"):
        jobs.fetch("abc")
    service.gives = IBMRuntimeError("500 Server Error\nmore")
    with pytest.raises(JobError, match="job abc cannot be reached: 500 Server Error: try again later"):
        jobs.fetch("abc")
    with pytest.raises(JobError, match="did not list its jobs"):
        RuntimeService().find("tag")


@pytest.mark.parametrize(
    "error",
    [
        InvalidHeader(f"Invalid return character(s) in header value: 'Bearer {TOKEN}\\n'"),
        InvalidHeader(f"Invalid return character(s) in header value: 'apikey {TOKEN}'"),
        OSError(f"cannot connect to proxy http://me:{TOKEN}@proxy:80"),
    ],
)
def test_credentials_that_an_error_quotes_are_left_out(error):
    with pytest.raises(JobError) as caught, _as_job_errors("refused"):
        raise error
    assert TOKEN not in str(caught.value)
    assert "***" in str(caught.value)
