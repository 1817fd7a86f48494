"""Which of two noises a Run with a reference is mitigated under: the measured flips, or the faults of its circuit."""

from functools import partial

import numpy as np
import pytest

from qcluster.core.counts.bits import index_bits
from qcluster.core.counts.distribution import Distribution
from qcluster.core.decision.circuit_decide import decide_circuit
from qcluster.core.estimators.measured import MOST_NOISE, mitigate_measured
from qcluster.core.methods.measured import mitigate, mitigate_by_default
from tests.core.decision.test_circuit import chain
from tests.core.estimators.test_measured import ghz, measured


def broad(n: int) -> Distribution:
    return Distribution(index_bits(np.arange(1 << n), n), np.random.default_rng(0).dirichlet(np.full(1 << n, 0.5)))


def brings(faults, kind):
    assert kind == "faults"
    return faults


@pytest.mark.parametrize("faults", [None, chain(6, 0.02, 0.03)])
def test_few_strings_are_read_under_the_measured_flips(faults):
    counts, noise = measured(ghz(6))
    answer = mitigate_by_default(counts, noise, True, None, partial(brings, faults))
    assert answer.method == "measured"
    assert answer == mitigate(counts, noise, True, None) == mitigate_measured(counts, noise)


def test_broad_outputs_are_read_under_the_faults_of_the_circuit_where_they_are_known(monkeypatch):
    counts, noise = measured(broad(5), total=0.4)
    faults = chain(5, 0.02, 0.03)
    monkeypatch.setattr("qcluster.core.estimators.measured.variational", None)  # is not asked for an answer in vain
    learned = mitigate_by_default(counts, noise, True, None, partial(brings, faults))
    assert learned == decide_circuit(counts, faults, most_noise=MOST_NOISE)
    assert learned.method == "circuit"
    monkeypatch.undo()
    assert mitigate_by_default(counts, noise, True, None, partial(brings, None)).method == "measured"
