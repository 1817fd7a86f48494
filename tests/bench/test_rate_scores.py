"""The scores behind benchmarks/results/rates_*.csv."""

import json
import os

import numpy as np
import pytest

from benchmarks import data, rates_fresh, rates_kept
from benchmarks.rates_fresh import FreshSet
from benchmarks.rates_kept import by_job
from benchmarks.rates_scores import EIGHT, assign_folds, blind, figures, five_folds, left_out, mae, r2, remaining_rows
from qcluster.bench.circuits import make_case
from qcluster.bench.rate_plan import plan
from qcluster.bench.rate_runs import DRAWN
from qcluster.core.noise.faults import FaultMasks
from qcluster.errors import StorageError
from qcluster.learn.features import NAMES
from qcluster.learn.label import effective_rate
from qcluster.learn.table import read_table


def test_blind_tables_keep_the_published_columns_and_nothing_else():
    table, told = read_table(), NAMES.index("answer_rate")
    table = table[~np.isnan(table.features[:, :told]).any(axis=1)][:20]  # drawn outputs have no circuit
    hidden = blind(table)
    known = [NAMES.index(name) for name in (*EIGHT, "shots")]
    assert np.array_equal(hidden.features[:, known], table.features[:, known])
    assert np.isnan(np.delete(hidden.features, known, axis=1)).all()
    assert len(table) == 20, "rows that a blind table hides something of"


def test_every_row_is_left_out_once_and_with_its_whole_group():
    groups = np.array(["b", "a", "b", "c", "a", "d"])
    for split in (list(left_out(groups)), list(left_out(assign_folds(groups, 3))), list(five_folds(6, 0))):
        assert (np.sum(split, axis=0) == 1).all()
    for out in left_out(assign_folds(groups, 2)):
        assert not set(groups[out]) & set(groups[~out])


def test_drawn_outputs_leave_with_families_of_their_kind():
    table = read_table()
    out = table.facts["family"] == "dicke"
    train = table[remaining_rows(table, out)]
    assert "dicke" not in train.facts["family"]
    assert "dicke" not in train.facts["drawn"]
    assert (table.facts["drawn"][~out] == "dicke").any(), "drawn on circuits of other families"
    assert len(train) == (~out & (table.facts["drawn"] != "dicke")).sum()


def test_rows_of_a_job_are_its_runs_and_what_was_drawn_for_them():
    table = read_table()
    known = ~np.isnan(table.features[:, NAMES.index("kernel_rate")])
    jobs = by_job(table)
    assert sorted(row for rows in jobs.values() for row in rows) == np.flatnonzero(known).tolist()
    plans = {job.mark: job for job in plan()}
    for mark, rows in jobs.items():
        runs = sum(table.facts["drawn"][row] == "" for row in rows)
        assert 0 < runs <= plans[mark].rows
        assert len(rows) - runs <= DRAWN * runs


def test_runs_are_kept_through_a_kill(tmp_path):
    """A torn line ended every later run, and of a circuit's runs those behind it were never made."""
    path = tmp_path / "new" / "runs.jsonl"
    assert list(data.read_json_lines(path)) == []
    data.append_json_lines(path, [{"a": 1}, {"a": "ä"}])
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:-4])
    assert [one["a"] for one in data.read_json_lines(path)] == [1, "ä", 1]
    data.append_json_lines(path, [{"a": 3}])
    assert [one["a"] for one in data.read_json_lines(path)] == [1, "ä", 1, 3]


def test_what_is_missing_of_a_circuits_runs_is_made(tmp_path, monkeypatch):
    one = FreshSet("mine", ("fake_manila",), 5, lambda: [(make_case("ghz:3"), 2)])
    monkeypatch.setattr(rates_fresh, "CACHE", tmp_path)
    assert list(rates_fresh.simulate_fresh(one)) == ["ghz:3"]
    whole = one.path.read_bytes()
    for cut in (whole[:-9], whole[: whole.index(b"\n") + 1], b""):
        one.path.write_bytes(cut)
        list(rates_fresh.simulate_fresh(one))
        assert one.path.read_bytes() == whole
    assert list(rates_fresh.simulate_fresh(one)) == []


@pytest.mark.parametrize("n_masks", [0, 2])
def test_fault_patterns_are_stored_whole(n_masks):
    """The last rotations were lost, on which features of the counts depend."""
    masks = [np.array(part)[:n_masks] for part in ([[1], [3]], [0.1, 0.2], [0, 1])]
    faults = FaultMasks(2, *masks, np.full((2, 2), 0.03), 0.4, last_rotations=np.array([0.1, 0.2]))
    found = rates_fresh.read_faults(json.loads(json.dumps(rates_fresh.plain(faults))))
    np.testing.assert_equal(vars(found), vars(faults))


def test_results_are_written_whole(tmp_path, monkeypatch):
    """Those that take hours were emptied first, anew with every row."""
    monkeypatch.setattr(data, "RESULTS", tmp_path)
    data.write_rows("t.csv", [{"a": 1}, {"a": None, "b": "x,y"}])
    before = (tmp_path / "t.csv").read_bytes()
    assert before == b'a,b\n1,\n,"x,y"\n'
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StorageError, match="No space left"):
        data.write_rows("t.csv", [{"a": 2}])
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("t.csv", before)]


@pytest.mark.slow
def test_kept_runs_are_those_of_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr(rates_kept, "PATH", tmp_path / "table.jsonl")
    table = read_table()
    name = next(rates_kept.simulate_table(table))
    kept = rates_kept.read_tabled(table)
    assert len({table.facts["circuit"][row] for row in kept}) == 1
    assert str(table.facts["circuit"][min(kept)]) in name
    assert {one.drawn for one in kept.values()} > {"", "own"}
    for row, one in kept.items():
        assert effective_rate(one.counts, one.ideal) == pytest.approx(table.rates[row], abs=1e-6)
        assert one.counts.shots == table.features[row, NAMES.index("shots")]


def test_scores_average_seeds_and_have_intervals_over_groups():
    rng = np.random.default_rng(0)
    truth = rng.random(60)
    said = truth + 0.1 * rng.standard_normal((2, 60))
    row = figures(truth, said, np.repeat(np.arange(12), 5))
    assert row["r2"] == pytest.approx(np.mean([r2(truth, one) for one in said]), abs=1e-4)
    assert row["mae"] == pytest.approx(np.mean([mae(truth, one) for one in said]), abs=1e-4)
    assert row["r2_low"] < row["r2"] < row["r2_high"]
    assert row["mae_low"] < row["mae"] < row["mae_high"]
    assert r2(truth, truth) == 1
