import json

import pytest

from tests.golden.make import FILE, RECORDS, answers


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
