import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_grover_finds_the_marked_string_through_our_sampler(capsys):
    pytest.importorskip("qiskit_algorithms", reason="the example's consumer: pip install qiskit-algorithms")
    runpy.run_path(str(EXAMPLES / "grover_with_qiskit_algorithms.py"), run_name="__main__")
    raw, mitigated = (line.split() for line in capsys.readouterr().out.splitlines())
    assert raw[1] == mitigated[1] == "111"
    assert float(mitigated[2]) > float(raw[2])
