"""Every example is short, runs, and says what its text says it says."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def call(name: str, *arguments: str) -> None:
    runpy.run_path(str(EXAMPLES / name))["main"](*arguments)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_examples_are_short_and_tested(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 60
    assert f"python examples/{path.name}" in text, "an example says how to run it"
    tests = [test.read_text(encoding="utf-8") for test in Path(__file__).parent.rglob("test_*.py")]
    assert any(f'"{path.name}"' in test for test in tests)


def test_postprocess_mitigates_what_has_noise_and_leaves_the_coin_alone(capsys):
    call("01_postprocess.py")
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("GHZ: applied")
    assert any(line.startswith("coin: not applied") for line in told)
    raw, mitigated = (float(line.split()[2]) for line in told if "<ZIIIZ>" in line)
    assert 0 < raw < mitigated <= 1


@pytest.mark.slow
def test_backend(capsys):
    call("02_backend.py")
    scores = [line.split() for line in capsys.readouterr().out.splitlines() if " fidelity " in line]
    fidelity = {" ".join(words[:-2]): float(words[-1]) for words in scores}
    assert set(fidelity) == {"raw", "counts alone", "compiled circuit", "as published"}
    assert min(fidelity.values()) == fidelity["raw"]


def test_campaign_runs_once_and_then_knows_it_is_done(tmp_path, capsys):
    call("03_campaign.py", str(tmp_path / "campaign"))
    first = capsys.readouterr().out
    assert "6/6 dense:6 on flips:0.05, 4096 shots, 1 twirl, seed 0" in first
    assert "mixture   mean fidelity" in first
    call("03_campaign.py", str(tmp_path / "campaign"))
    assert capsys.readouterr().out.startswith("6/6")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of mitiq and cirq are not ours to mend
def test_mitiq(capsys):
    pytest.importorskip("mitiq", reason="the example's consumer: pip install 'qcluster[mitiq]'")
    call("05_mitiq.py")
    raw, mitigated = ([float(word) for word in line.split()[1:5:3]] for line in capsys.readouterr().out.splitlines())
    assert raw[0] < mitigated[0] <= 1, "the parity of a GHZ state is 1"
    assert raw[1] < mitigated[1], "and so after extrapolation"


def test_saved_job_is_submitted_once(tmp_path, capsys):
    folder = tmp_path / "job"
    call("06_saved_job.py", str(folder))
    first, before = capsys.readouterr().out, {path: path.read_bytes() for path in folder.rglob("*.json*")}
    assert "part 0: DONE" in first
    assert first.splitlines()[2].split()[0] == "101101"
    call("06_saved_job.py", str(folder))
    assert capsys.readouterr().out == first
    assert {path: path.read_bytes() for path in folder.rglob("*.json*")} == before


@pytest.mark.slow
def test_reference(capsys):
    call("07_reference.py")
    told = capsys.readouterr().out
    assert "by the calibration" in told
    scores = [line.rsplit(" fidelity ", 1) for line in told.splitlines() if " fidelity " in line]
    fidelity = {name.strip(): float(value) for name, value in scores}
    assert fidelity["raw"] < 0.8
    assert fidelity["run with its reference"] > 0.99
