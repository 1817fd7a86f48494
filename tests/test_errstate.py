"""A caller who has NumPy raise where numbers vanish gets the same answers, from all that is public and computes."""

import numpy as np
import pytest

import qcluster as qc
from qcluster.core.dense.bitflips import deconvolve
from qcluster.learn.table import effective_rate

TINY = qc.Distribution.of({"000": 5e3, "111": 3e3, "001": 1e-305, "110": 3e-308})
"""Weights whose shares, squares and products are below all that a double holds."""
BROAD = qc.Distribution.of({format(i, "08b"): 1.0 + 40 * (i % 17 == 0) for i in range(256)})

CALLS = {
    "em_uniform": lambda d: qc.baselines.em_uniform(d, 0.05),
    "em_uniform, rate found": lambda d: qc.baselines.em_uniform(d),
    "expectation": lambda d: d.expectation("Z" * d.n_bits),
    "deconvolve": lambda d: deconvolve(np.arange(8.0) ** 9, np.full((1, 3, 2), 0.01), np.array([1e-3])).roots,
    "effective rate": lambda d: effective_rate(d, {"0" * d.n_bits: 1}),
    "entropy": lambda d: qc.metrics.entropy(d),
    "fidelity": lambda d: qc.metrics.hellinger_fidelity(d, {"0" * d.n_bits: 1e-300, "1" * d.n_bits: 1}),
    "hammer": qc.baselines.hammer,
    "hammr_l": lambda d: qc.baselines.hammr_l(d, 1e-9),
    "hamming": lambda d: qc.HammingKMajority(2).fit(d.bits, sample_weight=d.weights).predict(d.bits),
    "m3": lambda d: qc.baselines.m3(d, np.full((d.n_bits, 2), 1e-30)),
    "marginal": lambda d: d.marginal([0, 2]),
    "mitigate": lambda d: qc.mitigate(d).distribution,
    "mitigate_many": lambda d: next(qc.mitigate_many([d], workers=1)).distribution,
    "paper": lambda d: qc.mitigate(d, 1e-9, method="paper").distribution,
    "plurality": qc.baselines.plurality,
    "qbeep": lambda d: qc.baselines.qbeep(d, 1e-6),
    "rates": lambda d: qc.estimate_rates(counts=d).value,
    "sum": lambda d: d + d,
    "tops": lambda d: d.top(3),
    "total variation": lambda d: qc.metrics.total_variation(d, {"0" * d.n_bits: 1}),
    "whole shots": lambda d: d.to_counts(),
}


@pytest.mark.parametrize("counts", [TINY, BROAD], ids=["tiny", "broad"])
@pytest.mark.parametrize("name", CALLS)
def test_nothing_depends_on_the_errstate(name, counts):
    wanted = CALLS[name](counts)
    with np.errstate(all="raise"):
        found = CALLS[name](counts)
    assert np.array_equal(found, wanted) if isinstance(wanted, np.ndarray) else found == wanted


def test_the_errstate_of_the_caller_comes_back():
    with np.errstate(all="raise"):
        qc.mitigate({"00": 60, "11": 40})
        assert set(np.geterr().values()) == {"raise"}
        with pytest.raises(ValueError, match="empty mapping"):
            qc.mitigate({})
        assert set(np.geterr().values()) == {"raise"}


def test_a_machine_is_simulated_all_the_same():
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    with np.errstate(all="raise"):
        (run,) = qc.execute([circuit], "fake_manila", shots=200, twirls=2, dd="XX", seed=5)
        found = qc.mitigate(run), qc.estimate_rates(run.profile, run.calibration, run.counts).value
        result = qc.MitigatedSampler("fake_manila", seed=5).run([circuit], shots=200).result()
    (run,) = qc.execute([circuit], "fake_manila", shots=200, twirls=2, dd="XX", seed=5)
    assert found[0].distribution == qc.mitigate(run).distribution
    assert found[1] == qc.estimate_rates(run.profile, run.calibration, run.counts).value
    again = qc.MitigatedSampler("fake_manila", seed=5).run([circuit], shots=200).result()
    assert result[0].data.meas.get_counts() == again[0].data.meas.get_counts()
