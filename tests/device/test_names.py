"""Names of machines as people write them, and calibrations in the files that they have."""

import csv
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from qiskit_ibm_runtime import RuntimeEncoder
from qiskit_ibm_runtime.fake_provider import FakeManilaV2, FakeTorino
from typer.testing import CliRunner

from qcluster.cli.main import app
from qcluster.device import Calibration, read_calibration
from qcluster.device.machines import names as module
from qcluster.device.machines.machine import find_machine
from qcluster.errors import AccountError, StorageError


@pytest.fixture
def no_account(monkeypatch):
    """Whoever asks for an account where none is needed has failed."""

    def refuse(name, *_, **__):
        raise AccountError(f"asked the service for {name!r}")

    monkeypatch.setattr(module, "open_backend", refuse)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("aer", "aer_simulator"),
        ("aer_simulator", "aer_simulator"),
        ("basic_simulator", "basic_simulator"),
        ("fake_manila", "fake_manila"),
        ("FakeManila", "fake_manila"),
        ("FakeManilaV2", "fake_manila"),
        ("fakemanila", "fake_manila"),
        ("fake_manila_v2", "fake_manila"),
    ],
)
def test_names_of_simulators_need_no_account(no_account, name, found):
    assert find_machine(name).name == found


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("torino", "did you mean fake_torino or ibm_torino?"),
        ("Manila", "did you mean fake_manila or ibm_manila?"),
        ("FakeTurino", "did you mean fake_torino"),
        ("fake_manilla", "did you mean fake_manila"),
        ("torinno", "did you mean fake_torino"),
        ("qasm_simulator", r"did you mean aer\?"),
        ("aer_simulator_statevector", r"did you mean aer\?"),
        ("ibmq_qasm_simulator", r"did you mean aer\?"),
        ("statevector", r"did you mean aer\?"),
        ("", "got ''"),
        ("qqqqqq", "got 'qqqqqq'$"),
    ],
)
def test_other_names_get_a_hint_and_no_word_of_accounts(no_account, name, hint):
    with pytest.raises(ValueError, match=hint):
        find_machine(name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("props.json", r"got 'props\.json': Calibration\.load reads .*, and there is no file of that name$"),
        ("ibm_torino_calibrations.csv", "and there is no file of that name$"),
        ("here.json", "Calibration.load reads calibrations from files$"),
        ("Flips:0.05", "backend must name a simulator"),
    ],
)
def test_the_name_of_a_file_is_no_machine(no_account, name, hint, tmp_path, monkeypatch):
    """Machines of similar names were suggested or, if it began with ibm, the account was opened."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.json").write_text("{}")
    with pytest.raises(ValueError, match=hint):
        read_calibration(name)


@pytest.mark.parametrize("name", ["ibm_torino", "least_busy"])
def test_names_of_real_machines_go_to_the_service(no_account, name):
    with pytest.raises(AccountError, match=f"asked the service for '{name}'"):
        find_machine(name)


def properties(backend):
    """What the machine's own file holds."""
    return json.loads((Path(backend.dirname) / backend.props_filename).read_text())


@pytest.mark.parametrize("kind", [FakeManilaV2, FakeTorino])
def test_properties_as_json_are_the_machine(kind, tmp_path):
    backend = kind()
    path = tmp_path / "props.json"
    path.write_text(json.dumps(properties(backend)))
    mine, wanted = Calibration.load(path), read_calibration(backend)
    for name in ("t1", "t2", "readout"):
        np.testing.assert_allclose(getattr(mine, name), getattr(wanted, name), rtol=1e-12)
    np.testing.assert_allclose(mine.readout_duration, wanted.readout_duration, rtol=1e-6)
    assert (mine.n_qubits, mine.backend) == (wanted.n_qubits, properties(backend)["backend_name"])
    for gate in wanted.gates_2q:
        for pair in wanted.couplings.tolist():
            np.testing.assert_equal(mine.error(gate, tuple(pair)), wanted.error(gate, tuple(pair)))
    assert np.array_equal(mine.dead_qubits, wanted.dead_qubits)
    again = tmp_path / "ours.json"
    mine.save(again)
    assert Calibration.load(again).identity == mine.identity


@pytest.mark.parametrize("how", [{"cls": RuntimeEncoder}, {"default": str}])
def test_the_date_of_properties_is_the_same_however_json_writes_it(how, tmp_path):
    content = FakeManilaV2().properties().to_dict()  # its dates are datetimes, which plain JSON does not take
    path = tmp_path / "props.json"
    path.write_text(json.dumps(content, **how))
    assert datetime.fromisoformat(Calibration.load(path).date) == content["last_update_date"]


def test_a_length_in_an_unknown_unit_is_unknown_and_not_in_seconds(tmp_path):
    content = properties(FakeManilaV2())
    for gate in content["gates"]:
        for one in gate["parameters"]:
            one["unit"] = "dt" if one["name"] == "gate_length" else one["unit"]
    path = tmp_path / "props.json"
    path.write_text(json.dumps(content))
    mine = Calibration.load(path)
    assert np.isnan(mine.durations_2q).all()
    assert mine.error("cx", (0, 1)) == read_calibration(FakeManilaV2()).error("cx", (0, 1))


def test_figures_that_are_missing_and_gates_that_are_faulty_are_known_from_the_properties(tmp_path):
    """A T1 of null was an error in arithmetic, a lone readout error was lost, and a faulty gate counted as working."""
    content = properties(FakeManilaV2())
    for one in content["qubits"][1]:
        one["value"] = None if one["name"] == "T1" else one["value"]
    content["qubits"][2] = [one for one in content["qubits"][2] if one["name"] == "prob_meas1_prep0"]
    for gate in content["gates"]:
        if (gate["gate"], sorted(gate["qubits"])) in [("cx", [0, 1]), ("x", [4])]:
            gate["parameters"].append({"name": "operational", "unit": "", "value": 0, "date": "2026-01-01T00:00:00Z"})
    path = tmp_path / "props.json"
    path.write_text(json.dumps(content))
    mine, whole = Calibration.load(path), read_calibration(FakeManilaV2())
    assert np.isnan(mine.t1).tolist() == [False, True, True, False, False]
    assert mine.readout[2].tolist() == [whole.readout[2, 0]] * 2
    assert mine.readout_symmetric.tolist() == [False, False, True, False, False]
    assert [mine.is_dead("cx", pair) for pair in ((0, 1), (1, 0), (1, 2))] == [True, True, False]
    assert mine.dead_couplings.sum() == 2
    assert mine.dead_qubits.tolist() == [False] * 4 + [True]
    content["qubits"][0][0]["value"] = "100"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="a part of the BackendProperties document is not what it should be"):
        Calibration.load(path)


def as_csv(path, one, *, named_pairs=True, columns=None):
    """Write a calibration of cx and sx gates as IBM's page does."""
    columns = columns or [
        "Qubit", "T1 (us)", "T2 (us)", "Frequency (GHz)", "Readout assignment error ", "Prob meas0 prep1 ",
        "Prob meas1 prep0 ", "Readout length (ns)", "√x (sx) error ", "CNOT error ", "Gate time (ns)", "Operational",
    ]  # fmt: skip
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for q in range(one.n_qubits):
            pairs = [tuple(pair) for pair in one.couplings.tolist() if pair[0] == q]

            def entries(figure, scale=1.0, q=q, pairs=pairs):
                name = "{0}_{1}" if named_pairs else "{1}"
                return "; ".join(f"{name.format(*pair)}:{figure('cx', pair) * scale!r}" for pair in pairs)

            row = {
                "Qubit": q, "T1 (us)": one.t1[q] * 1e6, "T2 (us)": one.t2[q] * 1e6, "Frequency (GHz)": 5.0,
                "Readout assignment error ": one.readout[q].mean(), "Prob meas0 prep1 ": one.readout[q, 1],
                "Prob meas1 prep0 ": one.readout[q, 0], "Readout length (ns)": one.readout_duration[q] * 1e9,
                "√x (sx) error ": one.error("sx", (q,)), "CNOT error ": entries(one.error),
                "Gate time (ns)": entries(one.duration, 1e9), "Operational": "false" if q == 4 else "true",
            }  # fmt: skip
            writer.writerow([row[name] for name in columns])


@pytest.mark.parametrize("named_pairs", [True, False])
def test_the_csv_of_the_page_is_the_machine(tmp_path, named_pairs):
    wanted = read_calibration(FakeManilaV2())
    path = tmp_path / "ibm_manila_calibrations_2026-01-02T03_04_05Z.csv"
    as_csv(path, wanted, named_pairs=named_pairs)
    mine = Calibration.load(path)
    assert (mine.backend, mine.date) == ("ibm_manila", "2026-01-02T03:04:05Z")
    for name in ("t1", "t2", "readout", "readout_duration"):
        np.testing.assert_allclose(getattr(mine, name), getattr(wanted, name), rtol=1e-12)
    assert (mine.gates_1q, mine.gates_2q) == (("rz", "sx"), ("cx",))
    assert (mine.error("rz", (3,)), mine.duration("rz", (3,))) == (0, 0), "no pulse, and not in older files"
    for pair in wanted.couplings.tolist():
        assert mine.error("cx", tuple(pair)) == wanted.error("cx", tuple(pair))
        assert mine.duration("cx", tuple(pair)) == pytest.approx(wanted.duration("cx", tuple(pair)))
    assert mine.dead_qubits.tolist() == [False] * 4 + [True], "not operational"


def test_newer_files_give_the_length_of_gates_on_one_qubit(tmp_path):
    """Its column stands before the one of gates on two; it was not read, and these gates had no duration."""
    path = tmp_path / "ibm_torino_calibrations_2026-03-17T01_02_03Z.csv"
    titles = ["Qubit", "T1 (us)", "Single-qubit gate length (ns)", "RX error", "Z-axis rotation (rz) error",
              "√x (sx) error", "CZ error", "Gate length (ns)", "Operational"]  # fmt: skip
    lines = [
        ["0", "150", "32", "0.0003", "0", "0.0003", "1:0.002", "1:68", "Yes"],
        ["1", "160", "", "0.0004", "0", "0.0004", "0:0.002", "0:68", "No"],
    ]
    path.write_text("\n".join(map(",".join, [titles, *lines])), encoding="utf-8")
    mine = Calibration.load(path)
    assert mine.gates_1q == ("rx", "rz", "sx")
    assert mine.duration("sx", (0,)) == mine.duration("rx", (0,)) == pytest.approx(32e-9)
    assert np.isnan(mine.duration("sx", (1,)))
    assert mine.duration("rz", (0,)) == mine.duration("rz", (1,)) == 0
    assert mine.duration("cz", (0, 1)) == mine.duration("cz", (1, 0)) == pytest.approx(68e-9)
    assert mine.dead_qubits.tolist() == [False, True]


def test_a_csv_with_one_readout_figure_has_it_for_both(tmp_path):
    wanted = read_calibration(FakeManilaV2())
    path = tmp_path / "manila.csv"
    as_csv(path, wanted, columns=["Qubit", "T1 (us)", "Readout assignment error "])
    mine = Calibration.load(path)
    np.testing.assert_allclose(mine.readout, np.repeat(wanted.readout.mean(axis=1)[:, None], 2, axis=1))
    assert mine.readout_symmetric.all()
    assert mine.gates_2q == ()
    assert np.isnan(mine.t2).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Qubit,T1 (us)\n0,long\n", "'t1 .us.' of qubit 0 must be a number; got 'long'"),
        ("Qubit,T1 (usec)\n0,3\n", r"the unit of 't1 \(usec\)' must be one of s, ms, us, .*; got 'usec'"),
        ("Qubit,T1 (us)\n1,3\n", "a line for each qubit, numbered from 0"),
        ("Qubit,T1 (us)\n", "a line for each qubit"),
        ("Qubit,T1 (us)\n0,-3\n", "t1 of a calibration must be of at least 0"),
        ("Qubit,CZ error\n0,0-1:3\n", "must be entries such as '0_1:0.01'"),
        ("Qubit,CZ error\n0,7:0.1\n", "couplings of a calibration must join qubits 0..0"),
        ("Qubit,Readout assignment error\n0,1.5\n", r"readout of a calibration must be in \[0, 1\]"),
        ('{"backend_name": "x", "qubits": 3, "gates": []}', "BackendProperties"),
        ('{"backend_name": "x", "qubits": [[{"name": "T1"}]], "gates": []}', "BackendProperties document must have"),
        ("hello", "expected a qcluster-calibration JSON document"),
    ],
)
def test_damaged_files_are_refused_in_words(tmp_path, text, said):
    path = tmp_path / "file"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        Calibration.load(path)
    with pytest.raises(StorageError, match="cannot read"):
        Calibration.load(tmp_path / "none")


def run(*words):
    result = CliRunner().invoke(app, ["calibration", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_calibrations_are_fetched_shown_and_compared(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    kept, later = tmp_path / "manila.json", tmp_path / "ibm_manila_2026-01-02.csv"
    assert "fake_manila" in run("fetch", "FakeManila", "-o", kept)
    one = Calibration.load(kept)
    assert one.identity == read_calibration(FakeManilaV2()).identity
    shown = run("show", kept)
    assert "5 qubits" in shown
    assert f"{np.median(one.t1) * 1e6:.3g}" in shown
    assert "dead: nothing" in shown
    as_csv(later, one)
    assert "dead: qubit 4" in run("show", later)
    compared = run("diff", kept, later)
    assert "died: qubit 4" in compared
    line = next(line for line in compared.splitlines() if "cx error" in line)
    assert "nothing" in line, "no gate has changed"
    changed = later.read_text().replace(f"0_1:{one.error('cx', (0, 1))!r}", "0_1:0.25")
    later.write_text(changed)
    line = next(line for line in run("diff", kept, later).splitlines() if "cx error" in line)
    assert f"(0, 1): {one.error('cx', (0, 1)):.3g} to 0.25" in line


@pytest.mark.parametrize("name", ["none.json", "ibm_torino_calibrations_2026.csv", "folder/none"])
def test_a_file_that_is_not_there_is_no_machine(name, tmp_path, monkeypatch):
    """For one whose name begins as a real machine's, an account was asked for."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match=f"cannot read {name}: No such file"):
        CliRunner().invoke(app, ["calibration", "show", name], catch_exceptions=False)


def test_machines_of_other_sizes_are_not_compared():
    with pytest.raises(ValueError, match="both must be of one machine; fake_manila has 5 qubits, fake_mumbai 27"):
        CliRunner().invoke(app, ["calibration", "diff", "fake_manila", "fake_mumbai"], catch_exceptions=False)


def test_a_comparison_of_two_machines_says_so():
    result = CliRunner().invoke(app, ["calibration", "diff", "fake_manila", "fake_lima"], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stderr == "note: these are two machines by their names, fake_manila and fake_lima\n"
    assert not CliRunner().invoke(app, ["calibration", "diff", "fake_manila", "fake_manila"]).stderr
