import json

import numpy as np
import pytest

from tests.golden.make import DECIDED, FEATURES, FILE, RECORDS, answers, decided, described


@pytest.mark.parametrize("name", RECORDS)
def test_answers_are_those_of_before(name):
    found, kept = answers(name), json.loads(FILE.read_text())[name]
    for method in ("raw", "paper", "hammer"):
        assert found[method]["top"] == pytest.approx(kept[method]["top"], rel=1e-9), method
        assert found[method]["sum"] == pytest.approx(kept[method]["sum"], rel=1e-9), method
    # The mixture works in single precision, and its EM stops at a tolerance: no machine gives the last digits again.
    found, kept = found["mixture"], kept["mixture"]
    assert found["top"] == pytest.approx(kept["top"], abs=2e-3)
    assert found["log_likelihood"] == pytest.approx(kept["log_likelihood"], abs=0.5)
    assert found["flip_rate"] == pytest.approx(kept["flip_rate"], abs=2e-3)
    assert found["background"] == pytest.approx(kept["background"], abs=1e-2)


@pytest.mark.parametrize("name", DECIDED)
def test_gates_are_told_what_they_were_trained_on(name):
    np.testing.assert_allclose(described(name), json.loads(FEATURES.read_text())[name], atol=5e-3)


@pytest.mark.parametrize("name", DECIDED)
def test_decided_answers_are_those_of_before(name):
    found, kept = decided(name), json.loads(FILE.read_text())[name]
    assert found["top"] == pytest.approx(kept["top"], abs=2e-3)
    assert found["sum"] == pytest.approx(kept["sum"], abs=1e-2)
    assert (found["share"], found["confidence"]) == pytest.approx((kept["share"], kept["confidence"]), abs=5e-3)
