"""The example runs, and says what the text says it says."""

import runpy
from pathlib import Path

import pytest


@pytest.mark.slow
def test_example(tmp_path, capsys):
    pytest.importorskip("qcluster.device.execute")
    example = Path(__file__).parents[2] / "examples" / "04_qnn.py"
    assert len(example.read_text(encoding="utf-8").splitlines()) < 60
    runpy.run_path(str(example))["main"](str(tmp_path / "figure.png"))
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    told = capsys.readouterr().out
    assert all(f"{name} on fake_torino: accuracy" in told for name in ("raw", "twirled", "mitigated"))
