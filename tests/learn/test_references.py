"""Cases whose fault rates a drawn reference measured."""

import numpy as np
import pytest

from qcluster.core.noise.kernel import Kernel
from qcluster.learn.decision import references
from qcluster.learn.decision.circuits import MEASURED
from qcluster.learn.decision.shares import of_circuits
from qcluster.learn.decision.table import SOURCES


@pytest.fixture(scope="module")
def cases():
    return [references.measured(seed) for seed in range(80)]


def test_cases_are_of_runs_with_measured_rates(cases):
    assert all(case.kind == MEASURED and case.faults.measured for case in cases)
    assert {case.family for case in cases} > {"own", "tails", "strings"}
    assert all(case.counts.n_bits == case.ideal.n_bits == case.faults.n_bits for case in cases)
    again = references.measured(7)
    assert again.counts == cases[7].counts
    assert np.array_equal(again.faults.rates, cases[7].faults.rates)


def test_measured_rates_explain_most_counts(cases):
    """Seen through them, most ideals have the raw fidelity that the counts show, within 5 %, and often more than
    predicted: faults are rarer in some circuits than in their references."""
    ratios = []
    for case in cases:
        kernel = Kernel.of(case.faults)
        ideal = kernel.index.vector(case.ideal.words, case.ideal.probabilities)
        predicted, seen = kernel.forward(ideal), kernel.index.vector(case.counts.words, case.counts.probabilities)
        ratios.append((np.sqrt(seen * ideal).sum() / np.sqrt(predicted * ideal).sum()) ** 2)
    assert np.median(np.abs(np.log(ratios))) < 0.05
    assert np.quantile(np.log(ratios), 0.9) > 0.02


@pytest.mark.parametrize("published", [0.3, 3.0])
def test_rates_are_learned_from_the_reference_and_not_taken_from_the_calibration(published):
    rng = np.random.default_rng(3)
    layout = references._layout(rng, 5, 0.0)
    while len(layout.gates) < 10:
        layout = references._layout(rng, 5, 0.0)
    reference = references._propagate(rng, 5, layout)
    readout = np.full((5, 2), 0.02)
    true = references._fault_masks(reference.masks, reference.rates, readout)
    seen = Kernel.of(true).forward(np.eye(1, 32)[0]) * 1e7
    factors = references._learn(reference, np.full(len(reference.rates), published), readout, seen, layout.n_places)
    learned = (reference.rates * published * factors[reference.places]).sum()
    assert learned == pytest.approx(reference.rates.sum(), rel=0.1)


def test_readout_errors_are_learned_from_those_of_zeros_which_alone_the_reference_shows():
    rng = np.random.default_rng(3)
    layout = references._layout(rng, 5, 0.0)
    reference, readout = references._propagate(rng, 5, layout), np.tile([0.02, 0.08], (5, 1))
    true = references._fault_masks(reference.masks, reference.rates, readout)
    seen = Kernel.of(true).forward(np.eye(1, 32)[0]) * 1e7
    factors = references._learn(reference, np.ones(len(reference.rates)), readout, seen, layout.n_places)
    assert factors[-5:] == pytest.approx(1.0, abs=0.05)


def test_a_table_of_measured_circuits_has_one_source():
    assert of_circuits(0, measured=7) == {"circuit-measured": 7}
    assert SOURCES["circuit-measured"] is references.measured
