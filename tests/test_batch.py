import numpy as np
import pytest

import qcluster as qc


def sets(many: int) -> list[qc.Distribution]:
    rng = np.random.default_rng(3)
    return [qc.Distribution(rng.random((200, 4)) < 0.2 + 0.01 * i, np.ones(200)) for i in range(many)]


@pytest.mark.parametrize("workers", [1, 2])
def test_many_are_mitigated_as_one_by_one_and_in_order(workers):
    many = sets(5)
    for fixed, counts in zip(qc.mitigate_many(many, workers=workers), many, strict=True):
        alone = qc.mitigate(counts)
        assert fixed.distribution.to_probs() == pytest.approx(alone.distribution.to_probs(), abs=1e-12)
        assert fixed.reason == alone.reason


def test_each_set_has_its_own_rates():
    many, rates = sets(2), [0.02, 0.1]
    found = [fixed.rates.mean() for fixed in qc.mitigate_many(many, rates, workers=1, method="paper")]
    assert found == pytest.approx(rates)


def test_results_come_one_by_one():
    fixed = qc.mitigate_many([{"0": 5, "1": 7}, {"0": "many"}], workers=1)
    assert next(fixed).distribution.shots == 12
    with pytest.raises(TypeError, match="weights must be real numbers"):
        next(fixed)


def test_rates_must_be_as_many_as_counts():
    with pytest.raises(ValueError, match="one entry for each of the 2 sets of counts; got 1"):
        qc.mitigate_many(sets(2), [0.1])


def test_none_give_none():
    assert list(qc.mitigate_many([], workers=1)) == []
