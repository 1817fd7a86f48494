"""Methods from outside: of the user's modules, under wrong calibrations, and the guide that tells of both."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from qcluster.bench.faults import MISREPORTS, misreport
from qcluster.bench.machines import run_task
from qcluster.bench.methods import check_methods
from qcluster.bench.scores import score
from qcluster.bench.store import read_scores
from qcluster.bench.tasks import Task, find_case, parse_campaign
from qcluster.cli.main import app
from qcluster.core.methods import registry
from tests.bench.test_cli_bench import call
from tests.bench.test_scores import sample

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "your_records.md"
MODULE = """
import qcluster as qc
from qcluster.baselines.door import enter
from qcluster.bench.methods import NotApplicable
from qcluster.core.methods.registry import find

enter("own_identity", "Leaves all as it is.", lambda counts, rates: counts)
made = find("own_identity")
number = 7
def same(sample): return sample.counts
def paper(sample): return qc.mitigate(sample.counts, 0.05, method="paper")
def peek(sample): return sample.ideal.to_probs()
def text(sample): return "0101"
def narrow(sample): return {"0": 1}
def broken(sample): return 1 / 0
def leaves(sample): raise SystemExit("usage: none")
def picky(sample): raise NotApplicable("needs good weather")
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of the user's in the working directory, under a name of its own."""
    name = f"own_{re.sub('[^a-z0-9]', '_', tmp_path.name.lower())}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / f"{name}_spoilt.py").write_text("import nothing_of_this_name")
    (tmp_path / f"{name}_script.py").write_text("import sys\nsys.exit(2)")
    (tmp_path / f"{name}_other.py").write_text("def f(sample): ...\n(7).real_part")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(registry, "_known", dict(registry._known))
    return name


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("methods", ["my_module:cut", "identity,my_module:cut"])
def test_the_guide_works_as_it_stands(tmp_path, monkeypatch, methods):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mine.jsonl").write_text(blocks("json")[0])
    (tmp_path / "my_module.py").write_text(blocks("python")[0])
    call("score", "--records", "mine.jsonl", "--out", "mine", "--method", methods)
    assert "my_module:cut" in call("report", "mine", "--no-figures")
    rows = read_scores("mine")
    assert {(row["method"], row["status"]) for row in rows} == {("identity", "ok"), ("my_module:cut", "ok")}
    assert len(rows) == 6
    call("score", "--records", "mine.jsonl", "--out", "mine", "--methods", "m3,qbeep,paper_given")
    assert sum(row["status"] == "ok" for row in read_scores("mine")) == 9  # one record knows what these need


@pytest.mark.parametrize("name", ["same", "paper", "made"])
def test_functions_and_registered_methods_score(module, name):
    row, result = score(sample({"00": 90, "01": 10}, {"00": 1}), f"{module}:{name}")
    assert row["status"] == "ok", row["note"]
    assert result.shots == pytest.approx(100)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("{}:made", "left as is: this method changes nothing here"),
        ("{}:same", "must be a Method, as enter and register return it; got <function same"),
        ("{}:absent", "must name a function of module"),
        ("no_such_module:f", "must be in the working directory or installed"),
    ],
)
def test_a_file_of_counts_is_mitigated_by_a_method_of_the_users(module, tmp_path, name, said):
    """The guide said that a registered method works on the command line, which had no way to import it."""
    (tmp_path / "counts.json").write_text('{"00": 90, "01": 10}')
    done = CliRunner().invoke(app, ["mitigate", "counts.json", "--method", name.format(module)])
    assert said in " ".join(done.output.split()) or said in str(done.exception)


def test_two_processes_find_the_module(module, tmp_path):
    (tmp_path / "mine.jsonl").write_text(blocks("json")[0])
    call("score", "--records", "mine.jsonl", "--out", "mine", "--method", f"{module}:same", "--workers", "2")
    assert {row["status"] for row in read_scores("mine")} == {"ok"}


def test_a_campaign_takes_a_method_of_the_users(module):
    plan = {"cases": ["ghz:3"], "machines": ["flips:0.1"], "methods": ["identity", f"{module}:same"]}
    assert parse_campaign(plan).methods[1] == f"{module}:same"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:f", "must be in the working directory or installed, and import: ModuleNotFoundError: No mod"),
        ("{}_spoilt:f", "and import: ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("{}_script:f", "must be in the working directory or installed, and import: SystemExit: 2"),
        ("{}_other:f", "and import: AttributeError: 'int' object has no attribute 'real_part'"),
        ("{}:absent", "must name a function of module .* has no attribute 'absent'"),
        ("{}:number", "must be a function of a Sample, or a registered Method; got 7"),
        (":f", "must be in the working directory or installed"),
        ("{}:", "must name a function of module"),
        ("{}:same@sometimes", "a method may be followed by @ and one of high, low, scattered"),
        ("nothing@high", "no method 'nothing'; there are identity, .* and MODULE:FUNCTION for one of yours"),
    ],
)
def test_wrong_names_are_told_before_anything_is_scored(module, name, message):
    with pytest.raises(ValueError, match=message):
        check_methods((name.format(module),))


@pytest.mark.parametrize(
    ("name", "status", "note"),
    [
        ("peek", "failed", "'NoneType' object has no attribute 'to_probs'"),
        ("text", "failed", "must return a Distribution, a Mitigation, or counts such as {'01': 12}; got str"),
        ("narrow", "failed", "must return strings of 2 bits, as the counts have; got 1"),
        ("broken", "failed", "ZeroDivisionError: division by zero"),
        ("leaves", "failed", "SystemExit: usage: none"),
        ("picky", "skipped", "needs good weather"),
    ],
)
def test_what_goes_wrong_in_a_function_is_a_row(module, name, status, note):
    row, result = score(sample({"00": 90, "01": 10}, {"00": 1}), f"{module}:{name}")
    assert (row["status"], result) == (status, None)
    assert note in row["note"]


def test_failures_are_told_at_the_end(module, tmp_path):
    (tmp_path / "mine.jsonl").write_text(blocks("json")[0])
    output = call("score", "--records", "mine.jsonl", "--out", "mine", "--method", f"{module}:broken")
    assert "broken failed on 3 of 3" in " ".join(output.split())


def test_a_run_tells_failures_as_well(module, tmp_path):
    """It said that all was saved, though a method had given nothing."""
    (tmp_path / "c.toml").write_text(
        f'cases = ["ghz:3", "bv:3"]\nmachines = "flips:0.1"\ntwirls = 1\nmethods = "{module}:broken"\n'
    )
    for _ in range(2):
        output = " ".join(call("run", "c.toml", "--out", "mine").split())
        assert f"{module}:broken failed on 2 of 2, to score again by bench score --again: ZeroDivisionError" in output
        assert "identity failed" not in output


@pytest.fixture(scope="module")
def held():
    return run_task(Task("ghz:4", find_case("ghz:4").fingerprint, "FakeManila", shots=2000, twirls=2, dd="", seed=1))


def test_a_wrong_calibration_is_wrong_in_its_way(held):
    true = held.calibration
    ends = {"high": 3.0, "low": 1 / 3}
    for how, factor in ends.items():
        wrong = misreport(true, how, seed=0)
        assert np.allclose(wrong.readout, np.minimum(true.readout * factor, 0.49))
        assert np.allclose(wrong.t1, true.t1 / factor)
    scattered = misreport(true, "scattered", seed=0)
    factors = scattered.readout / true.readout
    assert factors.min() < 0.8 < 1.2 < factors.max()
    assert np.array_equal(scattered.readout, misreport(true, "scattered", seed=0).readout)
    assert (scattered.t2 <= 2 * scattered.t1).all()
    with pytest.raises(ValueError, match="high, low, scattered; got 'upside down'"):
        misreport(true, "upside down", seed=0)


@pytest.mark.parametrize("how", MISREPORTS)
@pytest.mark.parametrize("method", ["m3", "qbeep", "circuit"])
def test_methods_believe_the_calibration_that_they_are_told(held, method, how):
    right, _ = score(held, method)
    wrong, _ = score(held, f"{method}@{how}")
    assert (right["status"], wrong["status"]) == ("ok", "ok"), wrong
    assert method == "circuit" or wrong["hellinger_fidelity"] != right["hellinger_fidelity"]


def test_without_a_run_there_is_no_calibration_to_be_wrong():
    row, _ = score(sample({"00": 5}, {"00": 1}), "hammer@high")
    assert (row["status"], row["note"]) == ("skipped", "needs the compiled circuit and a calibration")
