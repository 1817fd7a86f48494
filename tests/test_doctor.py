"""The doctor finds what is wrong, shows nothing of an account, and says so in its exit code."""

import os
import subprocess
import sys
from importlib import metadata

import pytest
import qiskit_ibm_runtime

from qcluster import doctor
from qcluster.errors import AccountError

TOKEN = "0123456789abcdef-secret"


def requires(monkeypatch, *lines):
    real = metadata.requires
    monkeypatch.setattr(metadata, "requires", lambda name: list(lines) if name == "qcluster" else real(name))


def test_old_and_missing_packages_are_found_and_the_cure_is_named(monkeypatch):
    requires(
        monkeypatch, "numpy>=99", "nowhere-to-be-found>=2", 'mthree>=99; extra == "bench"', 'also-nowhere; extra == "x"'
    )
    found = {finding.name: finding for finding in doctor.packages()}
    assert not found["numpy"].ok
    assert "but >=99 is needed: pip install 'numpy>=99'" in found["numpy"].text
    assert (found["nowhere-to-be-found"].ok, found["nowhere-to-be-found"].text) == (
        False,
        "not installed: pip install 'nowhere-to-be-found>=2'",
    )
    assert not found["mthree"].ok, "an optional package that is there, but too old, is wrong"
    assert "also-nowhere" not in found


def test_versions_are_those_of_this_environment():
    found = {finding.name: finding for finding in doctor.packages()}
    assert all(finding.ok for finding in found.values()), found
    assert found["qiskit"].text == metadata.version("qiskit")
    (missing,) = doctor.packages("no-such-distribution")
    assert not missing.ok


@pytest.mark.parametrize(("saved", "variable", "told"), [
    ({}, None, "none; only real machines need one"),
    ({"default": {"token": TOKEN, "instance": "crn:v1:secret"}}, None, "present, saved"),
    ({}, TOKEN, "present, in the environment"),
])  # fmt: skip
def test_an_account_is_seen_and_not_shown(monkeypatch, saved, variable, told):
    monkeypatch.setattr(qiskit_ibm_runtime.QiskitRuntimeService, "saved_accounts", lambda: saved)
    monkeypatch.delenv("QISKIT_IBM_TOKEN", raising=False)
    if variable:
        monkeypatch.setenv("QISKIT_IBM_TOKEN", variable)
    assert doctor._run_check("account", doctor._account) == doctor.Finding("account", True, told)


def test_a_failing_check_is_a_finding_and_foreign_messages_stay_unsaid():
    def fails(error):
        def check():
            raise error

        return doctor._run_check("x", check)

    assert fails(AccountError("save one")).text == "save one"
    assert fails(ValueError(f"token {TOKEN} is invalid")) == doctor.Finding("x", False, "failed with ValueError")


def test_the_service_is_asked_only_when_wanted(monkeypatch):
    class Service:
        def backends(self, **_):
            return ["a", "b"]

    monkeypatch.setattr(qiskit_ibm_runtime, "QiskitRuntimeService", Service)
    assert doctor._service() == "reaches 2 machines in operation"
    monkeypatch.setattr(doctor, "_run_check", lambda name, check: doctor.Finding(name, True, ""))
    assert [f.name for f in doctor.examine(online=True)][-4:] == [
        "account",
        "service",
        "recorded machines",
        "self-test",
    ]
    assert "service" not in [f.name for f in doctor.examine()]


def test_a_self_test_that_gains_nothing_is_wrong(monkeypatch):
    class Demo:
        fidelities = (0.9, 0.8)

    monkeypatch.setattr("qcluster.demo.run_demo", lambda *_: Demo)
    found = doctor._run_check("self-test", lambda: doctor._self_test(100))
    assert not found.ok
    assert "mitigated should be above raw" in found.text


@pytest.mark.slow
def test_on_the_command_line(tmp_path):
    environment = os.environ | {"HOME": str(tmp_path), "QISKIT_IBM_TOKEN": TOKEN}
    done = subprocess.run(
        [sys.executable, "-c", "from qcluster.cli.main import main; main()", "doctor"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("all in order\n")
    assert "ok     account             present, in the environment" in done.stdout
    assert "self-test" in done.stdout
    assert TOKEN not in done.stdout + done.stderr


def test_exit_code_of_a_broken_installation(monkeypatch, capsys):
    import typer

    from qcluster.cli.doctor import doctor as command

    findings = [doctor.Finding("numpy", False, "1.0, but >=2.0 is needed"), doctor.Finding("python", True, "3.11")]
    monkeypatch.setattr(doctor, "examine", lambda **_: iter(findings))
    with pytest.raises(typer.Exit) as left:
        command(online=False)
    assert left.value.exit_code == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 wrong"
