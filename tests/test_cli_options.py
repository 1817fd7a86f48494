"""An option that was given and would have no effect is an error with its reason, on every command."""

import json
import subprocess
import sys

import pytest
from qiskit import QuantumCircuit, qpy
from typer.testing import CliRunner

from qcluster.cli.main import app

QASM = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; creg c[1]; h q[0]; measure q -> c;'
DASK = "--dask", "tcp://127.0.0.1:1"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with one of every file that a command takes."""
    (tmp_path / "counts.json").write_text(json.dumps({"0": 60, "1": 40}))
    (tmp_path / "c.qasm").write_text(QASM)
    with open(tmp_path / "two.qpy", "wb") as file:
        qpy.dump([QuantumCircuit(1), QuantumCircuit(2)], file)
    (tmp_path / "plan.toml").write_text('cases = ["ghz:2"]\nmachines = ["flips:0.05"]\nshots = 20\ntwirls = 1\n')
    (tmp_path / "r.jsonl").write_text(json.dumps({"id": "a", "counts": {"0": 5}, "ideal": {"0": 1}}) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mitigate", "counts.json", "--noise", "0.1", "--method", "paper", "--no-guard"), "--no-guard would have no"),
        (("mitigate", "counts.json", "--noise", "0.1", "--method", "paper", "--guard"), "--guard would have no"),
        (("jobs", "submit", "c.qasm", "-d", "new", "--backend", "aer", "--mode", "batch"), "--mode would have no"),
        (("bench", "run", "plan.toml", "--workers", "2", *DASK), "--workers would have no effect: with --dask"),
        (("bench", "score", "folder", "--workers", "2", *DASK), "--workers would have no effect: with --dask"),
        (("bench", "score", "folder", "--out", "other"), "--out would have no effect: it goes with --records"),
        (("bench", "score", "folder", "--ideals", "r.jsonl"), "--ideals would have no effect"),
        (("bench", "score", "folder", "--snapshots"), "--snapshots would have no effect"),
        (("bench", "score", "folder", "--limit", "1"), "--limit would have no effect"),
        (("bench", "score", "folder", "--no-bars"), "--no-bars would have no effect"),
        (("bench", "score", "folder", "--limit", "1", "--out", "other"), "--limit and --out would have no effect"),
        (("bench", "score", "folder", "--methods", ""), "no method ''"),
        (("qnn", "train", "--size", "3"), "--size would have no effect: the digits have 4 x 4 pixels"),
        (("qnn", "train", "--data", "images", "--a", "1"), "--a would have no effect: digits are chosen only"),
        (("qnn", "train", "--data", "images", "--b", "6"), "--b would have no effect"),
        (("qnn", "train", "--shots", "2048"), "--shots would have no effect: it goes with --backend"),
        (("qnn", "train", "--twirls", "2", "--dd", "XX"), "--twirls and --dd would have no effect"),
        (("qnn", "train", "--mitigation", "none"), "--mitigation would have no effect"),
        (("qnn", "evaluate", "m.json", "--shots", "100"), "--shots would have no effect: it goes with --backend"),
        (("qnn", "evaluate", "m.json", "--literal"), "--literal would have no effect"),
        (("qnn", "evaluate", "m.json", "--size", "4"), "--size would have no effect"),
        (("rates", "counts.json", "--backend", "nonsense"), "nonsense"),
        (("rates", "c.qasm", "--pub", "0"), "--pub would have no effect: c.qasm holds a circuit"),
        (("rates", "c.qasm", "--bits", "1"), "--bits would have no effect: c.qasm holds a circuit"),
        (("mitigate", ""), "counts must come from a file, a folder or '-'; got an empty name"),
        (("mitigate", ".", "--bits", "1"), "--bits would have no effect: . is a saved run"),
        (("rates", "two.qpy"), "must hold one circuit, that of the counts; it holds 2"),
        (("rates", "counts.json", "--circuit", "two.qpy"), "must hold one circuit"),
        (("rates", "build", "--out", "t", "--workers", "2", *DASK), "--workers would have no effect: with --dask"),
        (("decision", "build", "--out", "t", "--workers", "2", *DASK), "--workers would have no effect: with --dask"),
        (
            ("decision", "build", "--out", "t", "--circuits", "2", "--full", "3", "--sharp", "0"),
            "--full and --sharp would have no effect: --circuits, --wide-circuits and --measured draw cases in place "
            "of theirs",
        ),
    ],
)
def test_what_would_have_no_effect_is_refused(place, words, said):
    before = {path.name for path in place.iterdir()}
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, ValueError), done.output
    assert said in str(done.exception)
    assert done.stdout == ""
    assert {path.name for path in place.iterdir()} == before, "nothing was begun"


@pytest.mark.parametrize(
    "words",
    [
        ("mitigate", "counts.json", "--no-guard"),
        ("mitigate", "counts.json", "--noise", "0.1", "--method", "paper"),
        ("bench", "run", "plan.toml", "--workers", "1"),
        (
            "bench",
            "score",
            "--records",
            "r.jsonl",
            "--out",
            "scores",
            "--limit",
            "1",
            "--no-bars",
            "--methods",
            "identity",
        ),
        ("qnn", "train", "--a", "1", "--b", "7", "--max-iter", "1"),
        ("rates", "counts.json", "--pub", "0"),
        ("rates", "counts.json", "--circuit", "c.qasm", "--backend", "fake_manila"),
    ],
)
def test_what_has_an_effect_is_taken(place, words):
    done = CliRunner().invoke(app, words)
    assert done.exception is None, done.exception
    assert done.exit_code == 0


def test_the_exit_code_is_two_and_the_reason_one_line(place):
    from tests.test_cli import run

    done = run("rates", "c.qasm", "--pub", "0", cwd=place)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: --pub would have no effect: ")


BEYOND = "counts.json/out"
"""A place that no file can be written to: its folder is a file."""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mitigate", "absent", "--json", BEYOND), f"cannot write {BEYOND}: Not a directory"),
        (("mitigate", "absent", "--json", "."), "cannot write .: Is a directory"),
        (("mitigate", "absent", "--plot", f"{BEYOND}.png"), f"cannot write {BEYOND}.png: Not a directory"),
        (("mitigate", "absent", "--plot", "x.xyz"), "a figure must go into a file that ends in one of"),
        (("demo", "--qubits", "99", "--plot", "x.xyz"), "a figure must go into"),
        (("demo", "--qubits", "99", "--plot", BEYOND), "cannot write"),
        (("jobs", "collect", "absent", "--json", BEYOND), "cannot write"),
        (("jobs", "fetch", "absent", "--json", BEYOND), "cannot write"),
        (("calibration", "fetch", "absent", "-o", BEYOND), "cannot write"),
        (("decision", "train", "--table", "absent", "--out", BEYOND), "cannot write"),
        (("decision", "train", "--table", "absent", "--out", "."), "must name the file of the gate; . is a folder"),
        (("qnn", "train", "--data", "absent", "--out", BEYOND), "cannot write"),
        (("qnn", "train", "--data", "absent", "--plot", "x.xyz"), "a figure must go into"),
        (("qnn", "evaluate", "absent", "--json", BEYOND), "cannot write"),
    ],
)
def test_where_the_result_goes_is_judged_before_the_work(place, words, said):
    """What is named first of several faults is what was looked at first: here nothing of the input is there."""
    before = {path.name for path in place.iterdir()}
    done = CliRunner().invoke(app, words)
    assert said in str(done.exception), done.output
    assert {path.name for path in place.iterdir()} == before


def test_a_result_may_go_to_what_is_no_file_and_into_folders_to_be_made(place):
    assert CliRunner().invoke(app, ["mitigate", "counts.json", "--json", "/dev/null"]).exit_code == 0
    assert CliRunner().invoke(app, ["mitigate", "counts.json", "--json", "new/folder/out.json"]).exit_code == 0
    assert (place / "new/folder/out.json").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("mitigate", "counts.json", "--json", "counts.json"),
            "--json .* got counts.json, which is that of the counts",
        ),
        (("mitigate", "counts.json", "--json", "./new/../counts.json"), "which is that of the counts"),
        (("mitigate", "-", "--reference", "r.json", "--json", "r.json"), "which is that of --reference"),
        (("mitigate", "-", "--noise", "n.json", "--json", "n.json"), "which is that of --noise"),
        (("mitigate", "counts.json", "--json", "a.png", "--plot", "a.png"), "--plot .* which is that of --json"),
        (("qnn", "train", "--out", "a.png", "--plot", "a.png"), "--plot .* which is that of --out"),
        (("qnn", "train", "--data", "my.csv", "--out", "my.csv"), "--out .* which is that of --data"),
        (("qnn", "evaluate", "m.json", "--json", "m.json"), "--json .* which is that of the model"),
    ],
)
def test_nothing_is_written_over_what_is_read_or_another_result(place, words, said):
    """Counts were replaced by their answer."""
    before = {path: path.read_bytes() for path in place.iterdir()}
    with pytest.raises(ValueError, match=said):
        CliRunner().invoke(app, list(words), input='{"0": 60, "1": 40}', catch_exceptions=False)
    assert {path: path.read_bytes() for path in place.iterdir()} == before


def test_what_keeps_nothing_may_be_named_twice(place):
    words = ["mitigate", "counts.json", "--json", "/dev/null", "--reference", "counts.json", "--expected", "0"]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0


def test_links_in_a_circle_are_an_error_of_one_line(place):
    (place / "loop").symlink_to("loop")
    for words in (["loop"], ["counts.json", "--json", "loop"]):
        done = subprocess.run(
            [sys.executable, "-m", "qcluster", "mitigate", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=place,
        )
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert done.stderr.startswith("error: cannot ")
