"""The same on a real machine: python -m pytest -m hardware, with an account saved or in the environment.

Uses about 10 seconds of machine time. QCLUSTER_HARDWARE names the machine, by default the least busy one.
"""

import os

import pytest

from qcluster.device import MitigatedSampler, jobs, read_calibration
from qcluster.device.execute import execute
from qcluster.device.machines.machine import find_machine
from qcluster.device.prepare import Options, prepare
from qcluster.errors import AccountError

pytestmark = [pytest.mark.hardware, pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def machine():
    try:
        return find_machine(os.environ.get("QCLUSTER_HARDWARE", "least_busy"))
    except AccountError as error:
        pytest.skip(str(error))


def test_calibration(machine):
    calibration = read_calibration(machine.backend)
    assert calibration.date
    assert ((calibration.readout >= 0) & (calibration.readout <= 1)).all()


@pytest.mark.parametrize("twirling", ["client", "server"])
def test_execute(machine, ghz, tmp_path, twirling):
    (run,) = execute(
        [ghz(3)], machine.backend, shots=400, twirls=4, twirling=twirling, dd="XX", seed=1, directory=tmp_path / "run"
    )
    probabilities = run.counts.to_probs()
    assert run.shots >= 400
    assert probabilities.get("000", 0) + probabilities.get("111", 0) > 0.6
    assert jobs.fetch(run.job_ids[0], as_read=True)[0].data.meas.num_bits == 3
    (again,) = jobs.collect(tmp_path / "run")
    assert again.counts == run.counts


def test_submit_here_collect_there(machine, ghz, tmp_path):
    request = prepare([ghz(2)], machine, Options(shots=100, mode="batch"), seed=1)
    jobs.submit(request, machine, tmp_path / "run")
    (run,) = jobs.collect(tmp_path / "run", wait=True)
    assert run.shots == 100


def test_sampler(machine, ghz, tmp_path):
    sampler = MitigatedSampler(machine.backend, twirls=2, seed=1, directory=tmp_path / "run")
    assert sampler.run([ghz(2)], shots=100).result()[0].data.meas.num_shots == 100
