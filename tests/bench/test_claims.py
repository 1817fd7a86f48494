"""What benchmarks/claims.py tells of any campaign, not of the suites that are kept alone."""

import pytest

from benchmarks.claims import claims, harms, run_by_run, side_by_side
from qcluster.bench.scores import SCORE_COLUMNS
from qcluster.bench.table import Table


def campaign(folder, scores, **more):
    """Write a folder of scores: task and method, and their fidelity."""
    folder.mkdir(parents=True)
    shared = {"case": "ghz:3", "family": "ghz", "machine": "FakeTorino+reference", "n_bits": 3, "shots": 1000}
    shared |= {"ideal_entropy": 0.2, "status": "ok", "correct": 1, "seconds": 0.1} | more
    rows = [
        {"task": task, "method": method, "hellinger_fidelity": value} | shared
        for (task, method), value in scores.items()
    ]
    blank = dict.fromkeys(SCORE_COLUMNS, "")
    Table(folder / "scores.csv", SCORE_COLUMNS).append([blank | row for row in rows])
    return folder


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_repeat_of_a_circuit_counts_against_its_own_reference(tmp_path):
    """Seeds of one circuit on one machine were one run: the last."""
    scores = {("0", "reference"): 0.9, ("0", "circuit"): 0.8, ("1", "reference"): 0.5, ("1", "circuit"): 0.7}
    scores |= {("2", "reference"): 0.6, ("2", "circuit"): 0.602, ("3", "circuit"): 1.0}
    circuit = cells(run_by_run(campaign(tmp_path / "seeds", scores))[3])
    assert circuit == ["`circuit`", "1", "1", "3", "ghz:3 on FakeTorino: 0.700, 0.500"]


def test_a_campaign_without_a_reference_or_a_method_of_others_is_told_all_the_same(tmp_path):
    folder = campaign(tmp_path / "few", {("0", "identity"): 0.5, ("0", "mixture"): 0.75})
    lines = claims(folder)
    assert cells(lines[2])[2].startswith("1.50")
    assert [cells(line)[2] for line in lines[3:]] == ["", "", ""]
    assert run_by_run(folder) == []


def test_the_number_of_samples_is_that_of_the_raw_counts_not_of_the_best_method(tmp_path):
    scores = {("0", "identity"): 0.5, ("1", "identity"): 0.5, ("0", "m3"): 0.75}
    folders = [campaign(tmp_path / name, scores) for name in ("a", "b")]
    assert cells(harms(folders[0])[1])[0].endswith("2 of 1 circuits")
    assert cells(side_by_side(folders)[1])[1] == "a, n=2: mean HF"


def test_output_of_which_no_raw_counts_were_scored_is_left_out(tmp_path):
    folder = campaign(tmp_path / "mine", {("0", "mixture"): 0.5})
    assert harms(folder) == []
    with pytest.raises(ValueError, match=r"got none in .*mine"):
        side_by_side([folder])


def test_folders_of_one_name_stand_side_by_side(tmp_path):
    folders = [
        campaign(tmp_path / name / "paper", {("0", "identity"): value}) for name, value in (("old", 0.25), ("new", 0.5))
    ]
    head, _, raw = side_by_side(folders)[1:]
    assert [cell for cell in cells(head) if cell.endswith("mean HF")] == [f"{one}, n=1: mean HF" for one in folders]
    assert cells(raw)[1::3] == ["0.250", "0.500"]
