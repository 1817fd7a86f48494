import json

import numpy as np
import pytest
from typer.testing import CliRunner

from qcluster.bench.rate_runs import DRAWN
from qcluster.bench.table import Table
from qcluster.cli.rates import rates_app
from qcluster.errors import StorageError
from qcluster.learn.features import NAMES, features
from qcluster.learn.table import TABLE_COLUMNS, format_row, read_table

CIRCUIT = """OPENQASM 2.0;
include "qelib1.inc";
qreg q[3];
creg c[3];
h q[0]; cx q[0],q[1]; cx q[1],q[2];
measure q -> c;
"""


def call(*arguments):
    return CliRunner().invoke(rates_app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def counts(tmp_path):
    path = tmp_path / "counts.json"
    path.write_text(json.dumps({"000": 480, "111": 430, "001": 30, "010": 25, "100": 20, "110": 15}))
    return path


def test_counts_alone(counts):
    shown = call(counts)
    assert shown.exit_code == 0
    assert "effective flip rate 0.0" in shown.output
    assert "by bit" not in shown.output
    assert shown.output == call("estimate", counts).output


def test_options_may_stand_before_the_file(counts):
    assert call("--coverage", "0.9", counts).output == call(counts, "--coverage", "0.9").output
    assert "90% interval" in call("--coverage", "0.9", counts).output


def test_a_coverage_is_told_as_it_was_asked_for(counts):
    for asked, said in ("0.999", "99.9% interval"), ("0.57", "57% interval"):
        assert said in call("--coverage", asked, counts).output


def test_mixed_counts_rest_on_a_circuit_only_where_there_is_one(tmp_path):
    (tmp_path / "mixed.json").write_text(json.dumps({f"{value:03b}": 100 for value in range(8)}))
    (tmp_path / "circuit.qasm").write_text(CIRCUIT)
    alone = " ".join(call(tmp_path / "mixed.json").output.split())
    assert "uniform noise: nothing bounds the rate from above" in alone
    known = call(tmp_path / "mixed.json", "--circuit", tmp_path / "circuit.qasm", "--backend", "fake_mumbai").output
    assert "uniform noise: the rate rests on the circuit alone" in " ".join(known.split())


def test_counts_with_circuit_and_machine(counts, tmp_path):
    (tmp_path / "circuit.qasm").write_text(CIRCUIT)
    shown = call(counts, "--circuit", tmp_path / "circuit.qasm", "--backend", "fake_mumbai")
    assert shown.exit_code == 0
    assert len(shown.output.split("by bit, 0 first:")[1].split()) == 3
    before = call(tmp_path / "circuit.qasm", "--backend", "fake_mumbai")
    assert "effective flip rate" in before.output


def test_a_machine_without_a_circuit_is_used_and_an_unknown_one_refused(counts):
    assert call(counts, "--backend", "fake_mumbai").output != call(counts).output
    with pytest.raises(ValueError, match="nonsense"):
        call(counts, "--backend", "nonsense")


def test_a_circuit_wider_than_the_machine_is_named(tmp_path):
    (tmp_path / "wide.qasm").write_text(CIRCUIT.replace("[3]", "[7]"))
    with pytest.raises(ValueError, match="needs 7 qubits; fake_manila has 5"):
        call(tmp_path / "wide.qasm", "--backend", "fake_manila")


def test_your_own_rows_are_used_if_they_have_what_is_known_of_the_run(counts, tmp_path):
    path, whole = tmp_path / "mine.csv", features(counts=json.loads(counts.read_text()))
    part = np.where(np.isin(NAMES, ["n_measured", "top_weight"]), whole, np.nan)
    for number, (row, said) in enumerate(((part, "0 of 1 row"), (whole, "1 of 2 rows"), (whole, "2 of 3 rows"))):
        Table(path, TABLE_COLUMNS).append([format_row(row, 0.2, {"circuit": f"mine {number}"})])
        shown = call(counts, "--table", path)
        assert shown.exit_code == 0
        assert f"{said} of {path} and 762 shipped rows were used for this run; the others lack" in shown.output
    path.write_text("a\n1\n")
    with pytest.raises(StorageError, match="column named rate"):
        call(counts, "--table", path)


def test_a_saved_run_is_estimated_with_all_it_has(tmp_path):
    from qcluster import estimate_rates
    from qcluster.cli.jobs import jobs_app
    from qcluster.device import jobs

    (tmp_path / "ghz.qasm").write_text(CIRCUIT)
    folder = tmp_path / "run.qpy"  # a folder, whatever its name looks like
    words = ["submit", tmp_path / "ghz.qasm", tmp_path / "ghz.qasm", "-d", folder, "--backend", "fake_manila"]
    done = CliRunner().invoke(
        jobs_app, [*map(str, words), "--shots", "300", "--twirls", "4", "--seed", "7", "--reference"]
    )
    assert done.exit_code == 0, done.output
    with pytest.raises(ValueError, match=r"holds the runs of 2 circuits: choose one by --pub, 0 to 1"):
        call(folder)
    shown, wanted = " ".join(call(folder, "--pub", 1).output.split()), estimate_rates(jobs.read(folder)[1])
    assert "Run('ghz' on fake_manila, 300 shots, 4 twirls" in shown
    assert all(f"note: {note}" in shown for note in jobs.read(folder)[1].notes)
    assert "note: " in shown
    assert f"effective flip rate {wanted.value:.4f}, 80% interval {wanted.low:.4f} to {wanted.high:.4f}" in shown
    assert shown.split("by bit, 0 first: ")[1].split()[:3] == [f"{rate:.4f}" for rate in wanted.per_bit]
    with pytest.raises(ValueError, match=r"--backend and --circuit would have no effect: .* is a saved run"):
        call(folder, "--pub", 1, "--backend", "fake_manila", "--circuit", tmp_path / "ghz.qasm")
    with pytest.raises(StorageError, match="it is a directory, and not that of a saved run; name one of those in it"):
        call(tmp_path)


def test_a_circuit_of_another_width_is_named(counts, tmp_path):
    (tmp_path / "bell.qasm").write_text(CIRCUIT.replace("c[3]", "c[2]").replace("q -> c", "q[0] -> c[0]"))
    for machine in [], ["--backend", "fake_manila"]:
        with pytest.raises(ValueError, match=r"circuit of .*bell.qasm must have one classical bit .* counts, 3; got 2"):
            call(counts, "--circuit", tmp_path / "bell.qasm", *machine)


def test_broken_circuits_are_named(tmp_path):
    (tmp_path / "broken.qasm").write_text("nonsense")
    with pytest.raises(StorageError, match="cannot read circuits from"):
        call(tmp_path / "broken.qasm")


def test_runs_are_added(tmp_path):
    from qcluster.bench.campaign import run
    from qcluster.bench.tasks import Campaign

    list(run(Campaign("toy", ("ghz:3",), ("flips:0.1",), methods=("identity",)), tmp_path / "toy"))
    shown = call("add", tmp_path / "toy", "--table", tmp_path / "tables" / "mine.csv")  # makes the folder
    assert "1 row added" in shown.output
    assert "1 of them lack columns" in shown.output


@pytest.mark.parametrize("table", ["", "."])
def test_a_table_of_rates_is_no_folder(tmp_path, table):
    with pytest.raises(StorageError, match=r"^cannot write \.: Is a directory$"):
        call("add", tmp_path, "--table", table)


def test_a_folder_without_runs_is_refused_and_begins_no_table(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("of something else")
    for name in "missing", "empty", "other", "other/notes.txt":
        with pytest.raises(
            StorageError, match=f"there are no runs in {tmp_path / name}: name the folder of a campaign"
        ):
            call("add", tmp_path / name, "--table", tmp_path / "mine.csv")
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "other"}


@pytest.mark.slow
def test_a_table_is_built(tmp_path):
    shown = call("build", "--out", tmp_path, "--limit", 1, "--rows", 1)
    assert shown.exit_code == 0
    table = read_table(tmp_path / "rates.csv")
    assert (table.facts["drawn"] == "").tolist() == [True] + [False] * DRAWN
