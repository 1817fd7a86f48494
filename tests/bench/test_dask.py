"""A campaign on a Dask cluster, one of whose workers is killed."""

import os
import signal
import time

import pytest

from qcluster.bench.campaign import run
from qcluster.bench.store import read_scores, read_tasks
from qcluster.bench.tasks import parse_campaign

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_a_killed_worker_loses_nothing(tmp_path):
    distributed = pytest.importorskip("distributed")
    plan = parse_campaign(
        {
            "families": ["ghz", "w_state", "bv"],
            "widths": [3, 5, 9],
            "machines": ["flips:0.05"],
            "seeds": list(range(10)),
            "shots": 4000,
            "twirls": 1,
            "methods": ["identity", "hammer", "em_uniform"],
        }
    )
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        killed = False
        for step in run(plan, tmp_path, dask=cluster.scheduler_address):
            assert not step.error
            if step.done >= 10 and not killed:
                killed = True
                with distributed.Client(cluster.scheduler_address) as client:
                    pid = next(iter(client.run(os.getpid).values()))
                os.kill(pid, signal.SIGKILL)
                time.sleep(0.5)
    assert killed
    assert len(read_tasks(tmp_path)) == 90
    assert len(read_scores(tmp_path)) == 270
