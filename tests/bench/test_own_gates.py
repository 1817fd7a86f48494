"""Gates of a user in campaigns: named after the method, recorded with the scores, never mixed."""

import json

import pytest
from typer.testing import CliRunner

import qcluster as qc
from qcluster.bench.campaign import rescore, run
from qcluster.bench.methods import find
from qcluster.bench.reports.page import _description
from qcluster.bench.store import read_scores
from qcluster.bench.tasks import read_campaign
from qcluster.cli.main import app
from qcluster.core.decision.candidates import RAW
from qcluster.core.decision.circuit_candidates import NAMES as CIRCUIT
from qcluster.core.decision.gate import shipped
from qcluster.errors import StorageError
from qcluster.learn.decision.train import write_gate
from tests.learn.test_own_gates import stubborn

TOML = """
cases = ["ghz:3", "bv:13"]
machines = ["flips:0.05"]
shots = 500
methods = ["identity", "mixture", "mixture+mine.npz", "mixture+mine.npz+wide.npz", "circuit+mine.npz"]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_gate(stubborn(), tmp_path / "mine.npz")
    write_gate(stubborn(wide=True), tmp_path / "wide.npz")
    write_gate(stubborn(CIRCUIT, candidate=RAW), tmp_path / "circuits.npz")
    (tmp_path / "mine.toml").write_text(TOML.replace("circuit+mine", "circuit+circuits"))
    return tmp_path


def scored(place):
    return {(row["case"].split(":")[0], row["method"]): row for row in read_scores(place)}


def test_a_campaign_scores_by_the_gates_that_its_methods_name(folder):
    assert not [step.error for step in run(read_campaign("mine.toml"), "out") if step.error]
    rows = scored("out")
    narrow, wide = (qc.read_gate(name).digest for name in ("mine.npz", "wide.npz"))
    both = "mixture+mine.npz+wide.npz"
    for case, method, digest in (
        ("ghz", "mixture+mine.npz", narrow),
        ("ghz", both, narrow),
        ("bv", both, wide),
    ):
        assert rows[case, method]["note"].endswith(f"; weighed by gate {digest}")
    assert float(rows["ghz", "mixture+mine.npz"]["hellinger_fidelity"]) == pytest.approx(0.5), "one of two strings"
    assert rows["bv", "mixture+mine.npz"]["status"] == "skipped"
    assert rows["bv", "mixture+mine.npz"]["note"].startswith("gates must hold one gate for counts of more than 12 bits")
    assert "gate" not in rows["ghz", "mixture"]["note"]
    assert rows["ghz", "circuit+circuits.npz"]["status"] == "skipped", "the toy machine has no faults"
    prints = dict(line.split(",") for line in (folder / "out" / "records.csv").read_text().splitlines())
    assert prints["mixture+mine.npz"] == narrow
    assert prints[both] == f"{narrow} {wide}"


def test_a_gate_for_other_candidates_is_refused_before_anything_runs(folder):
    """Its samples were run, and then skipped."""
    (folder / "wrong.toml").write_text(TOML)
    with pytest.raises(ValueError, match=r"one gate for counts of known circuits of .*; got those for counts of up"):
        read_campaign("wrong.toml")


def test_scores_by_different_gates_are_never_mixed(folder):
    list(run(read_campaign("mine.toml"), "out"))
    write_gate(stubborn(candidate=RAW), folder / "mine.npz")
    said = r"the gate of method mixture\+mine\.npz is not the one that out has scores of: put it back"
    with pytest.raises(StorageError, match=said):
        list(run(read_campaign("mine.toml"), "out"))
    with pytest.raises(StorageError, match=said):
        list(rescore("out", ("mixture+mine.npz",)))
    assert not [step.error for step in rescore("out", ("mixture+mine.npz",), again=True) if step.error]
    assert scored("out")["ghz", "mixture+mine.npz"]["applied"] == "0"
    list(rescore("out", ("mixture+mine.npz",)))


def test_recorded_counts_are_scored_by_gates_and_never_mixed(folder):
    records = [
        {"id": f"one/{k}", "counts": {"00": 400, "01": 50, "11": 380}, "ideal": {"00": 0.5, "11": 0.5}} for k in "ab"
    ]
    (folder / "r.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    call = ["bench", "score", "--records", "r.jsonl", "--out", "out", "--methods", "mixture+mine.npz"]
    made = CliRunner().invoke(app, call)
    assert made.exit_code == 0, made.output
    assert {row["note"].rpartition(" ")[2] for row in read_scores("out") if row["method"] == "mixture+mine.npz"} == {
        qc.read_gate("mine.npz").digest
    }
    write_gate(stubborn(candidate=RAW), folder / "mine.npz")
    made = CliRunner().invoke(app, call)
    assert isinstance(made.exception, StorageError)
    assert "the gate of method mixture+mine.npz is not the one" in str(made.exception)
    made = CliRunner().invoke(app, [*call, "--again"])
    assert made.exit_code == 0, made.output


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("mixture+none.npz", StorageError, r"none\.npz"),
        ("mixture+mine.toml", StorageError, r"mine\.toml must be an \.npz file"),
        ("hammer+mine.npz", ValueError, "'hammer' makes no use of gates"),
        ("identity+mine.npz", ValueError, "'identity' makes no use of gates"),
        ("reference+mine.npz", ValueError, "method must be one of mixture"),
        ("mixtrue+none.npz", ValueError, "method must be one of mixture"),
    ],
)
def test_names_of_gates_are_checked_before_anything_runs(folder, name, error, said):
    with pytest.raises(error, match=said):
        find(name)
    (folder / "mine.toml").write_text(TOML.replace("circuit+mine.npz", name))
    with pytest.raises(error, match=said):
        read_campaign("mine.toml")


def test_a_report_says_whose_gate_it_is():
    assert _description("mixture+a.npz+b.npz") == "mixture with the gate of a.npz or b.npz."
    assert shipped().digest not in _description("mixture")
