"""Rows whose counts are answered by gates that never saw them."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import cross_fit
from qcluster.learn.decision import circuits
from qcluster.learn.decision.table import Table, joined, read, recorded, tabulate, write
from qcluster.learn.decision.train import Training, train

NOISE = {"masks": [1, 2, 3], "rates": [0.02, 0.02, 0.01], "kind": [0, 0, 0], "readout": [[0.01, 0.02]] * 2}


def lines(path: Path, wrong: list[int]) -> Path:
    """Write a record for each number of shots that are wrong."""
    records = [
        {
            "machine": f"fake_{k}",
            "circuit": "bell:2",
            "counts": {"00": 480, "11": 500 - k, "01": 20 + k},
            "ideal": {"00": 0.5, "11": 0.5},
            "faults": NOISE,
        }
        for k in wrong
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture
def files(tmp_path) -> list[Path]:
    return [lines(tmp_path / "one.jsonl", [0, 1]), lines(tmp_path / "two.jsonl", [2, 3, 4])]


@pytest.fixture
def counts(tmp_path, files) -> Path:
    """A table of counts of both files together, and of another set."""
    whole = tmp_path / "bells.jsonl"
    whole.write_text("".join(file.read_text() for file in files))
    folder = tmp_path / "counts"
    folder.mkdir()
    write(tabulate(recorded(whole)), folder / "records-bells.npz")
    write(tabulate(recorded(lines(tmp_path / "others.jsonl", [7]))), folder / "records-others.npz")
    return folder


def machines(table: Table) -> set[str]:
    return {str(kind) for kind in table.kind if str(kind).startswith("fake_")}


def test_a_half_is_left_out_with_all_that_was_drawn_of_it(counts):
    part = read(counts / "records-bells.npz")
    assert len(part) == 5 * 4, "a record, and three draws"
    kept = [cross_fit.without(part, "bells", 2, fold) for fold in (0, 1)]
    assert [len(one) for one in kept] == [12, 8]
    assert [machines(one) for one in kept] == [{"fake_2", "fake_3", "fake_4"}, {"fake_0", "fake_1"}]


def test_counts_are_answered_by_a_gate_of_the_other_half(counts, files, tmp_path, monkeypatch):
    seen = []

    def short(table, settings, weight, workers):
        seen.append(machines(table))
        return train(table, Training(members=1, missed=0, epochs=1, batch=8), weight, workers=workers)

    monkeypatch.setattr(cross_fit, "train", short)
    out = tmp_path / "out"
    out.mkdir()
    given = ["--counts", str(counts), "--out", str(out), "bells=" + ",".join(map(str, files))]
    monkeypatch.setattr("sys.argv", ["cross_fit", *given])
    cross_fit.main()
    assert seen == [{"fake_2", "fake_3", "fake_4", "fake_7"}, {"fake_0", "fake_1", "fake_7"}]
    made = [read(out / f"runs-{file.stem}.npz") for file in files]
    asked = [len(list(circuits.recorded(file))) for file in files]
    assert [len(table) for table in made] == asked
    plain = joined([tabulate(circuits.recorded(file)) for file in files])
    mine, alone = joined(made), plain.names.index("counts alone")
    others = [place for place in range(len(plain.names)) if place != alone]
    np.testing.assert_allclose(mine.gram[:, others, -1], plain.gram[:, others, -1], atol=1e-6)
    assert abs(mine.gram[:, alone, -1] - plain.gram[:, alone, -1]).max() > 1e-3, "another gate answers"
    cross_fit.main()
    assert len(seen) == 2, "what is there is not made again"


def test_a_set_of_one_file_has_no_halves():
    with pytest.raises(ValueError, match=r"two files or more; got one\.jsonl"):
        cross_fit.halves([Path("one.jsonl")])
