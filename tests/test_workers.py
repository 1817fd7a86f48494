"""Worker processes must not outlive the process that started them: they hold its standard output, and memory."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from joblib import delayed

import qcluster as qc
from qcluster.device import jobs
from qcluster.errors import QClusterError
from qcluster.workers import parallel, spread

MANY = """
import time, qcluster as qc
answers = qc.mitigate_many([{"00": 60 + k, "11": 40} for k in range(8)], workers=2)
print(next(answers).applied, flush=True)
time.sleep(600)
"""

CAMPAIGN = """
import sys, time
from qcluster.bench.campaign import run
from qcluster.bench.tasks import parse_campaign
plan = {"machines": "flips:0.05", "shots": 50, "cases": ["ghz:3", "bv:3"], "seeds": [0, 1, 2], "methods": "identity"}
steps = run(parse_campaign(plan), sys.argv[1], workers=2)
print(next(steps), next(steps), flush=True)
time.sleep(600)
"""

RATES = """
import sys, time
from qcluster.bench.rate_plan import Job
from qcluster.bench.rate_table import build
jobs = [Job("ghz:2", "fake_manila", 0, 1, 50, seed) for seed in range(4)]
steps = build(jobs, sys.argv[1], workers=2)
print(next(steps), next(steps), flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("code", [MANY, CAMPAIGN, RATES], ids=["mitigate_many", "campaign", "rates"])
def test_workers_end_with_their_parent(tmp_path, code, how):
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline()
        process.send_signal(how)
        start = time.monotonic()
        process.communicate(timeout=30)  # to the end of standard output, which every worker holds
        assert time.monotonic() - start < 20
    finally:
        process.kill()
        process.wait()


COMMAND = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background of a script ignore it
from qiskit_aer import AerSimulator
from qcluster.cli.main import main
def run(*circuits, **options):
    print("simulating", flush=True)
    sum(range(10**12))  # lets no Python code run, as Aer does
AerSimulator.run = run
main()
"""


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_a_command_that_simulates_ends_at_once_when_interrupted(tmp_path):
    """Ctrl-C waited until Aer was done, which took minutes; the same command again continues."""
    (tmp_path / "bell.qasm").write_text('OPENQASM 2.0;include "qelib1.inc";qreg q[1];creg c[1];measure q->c;')
    folder = tmp_path / "run"
    words = ["jobs", "submit", str(tmp_path / "bell.qasm"), "--backend", "fake_manila", "--seed", "7", "-d", folder]
    process = subprocess.Popen([sys.executable, "-c", COMMAND, *words], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "simulating\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGINT
    (run,) = jobs.collect(folder)
    assert run.shots == 4096


def test_workers_that_are_still_there_work_in_the_folder_of_the_call(tmp_path, monkeypatch):
    """Modules of the user's are looked for there."""
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        found = parallel(2, 4)(delayed(os.getcwd)() for _ in range(4))
        assert set(found) == {str(folder)}


@pytest.mark.parametrize("workers", [0, -2, 2.5, True, "2", None])
def test_no_number_of_workers_is_refused(workers):
    """All but text worked in one process without a word."""
    with pytest.raises(ValueError, match="workers must be 1 or more, or -1 for one per core; got"):
        list(spread(abs, [1, 2], workers=workers))


def test_no_more_workers_start_than_there_are_tasks():
    """Joblib started all of them, and 10**30 were an OverflowError."""
    for workers in (12, 10**30):
        assert parallel(workers, 3).n_jobs == 3
    assert parallel(-1, 1).n_jobs == 1
    assert list(qc.mitigate_many([{"0": 3}], workers=10**30)) == [qc.mitigate({"0": 3})]


def test_all_cores_may_work():
    """For -1, as `mitigate_many` takes it, this process alone worked."""
    found = list(spread(_work, [1, 2, 3], workers=-1))
    assert sorted(one for one, _ in found) == [1, 2, 3]
    assert os.getpid() not in {process for _, process in found} or os.cpu_count() == 1


def _work(item):
    return item, os.getpid()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_dies_is_named():
    """Its errors were of Dask's own classes, which no caller expects."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        with pytest.raises(QClusterError, match=r"Dask workers died; .* run again"):
            list(spread(_die, [1], dask=cluster.scheduler_address))
        found = spread(time.sleep, [0, 10], dask=cluster.scheduler_address)
        next(found)
        cluster.close()
        with pytest.raises(QClusterError, match=r"scheduler at .* no longer answers; .* run again"):
            next(found)


def _die(_):
    from distributed import KilledWorker

    raise KilledWorker("of 4", SimpleNamespace(address="of the last"), 3)
