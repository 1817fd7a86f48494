"""Two versions timed in one run: benchmarks/speed/versions.py."""

import numpy as np
import pytest

from benchmarks.speed import versions
from benchmarks.speed.versions import CASES, FILE, Case, compare, drawn, keep, started


class Clock:
    """A version whose times are known beforehand; it keeps what it was asked for."""

    def __init__(self, *times: float) -> None:
        self.times, self.asked = list(times), []

    def __call__(self, task: object) -> float:
        self.asked.append(task)
        return self.times[len(self.asked) - 1]


def test_the_fastest_round_of_each_draw_counts_and_the_median_of_draws(monkeypatch):
    monkeypatch.setitem(CASES, "some", Case("ghz", 3, 10, draws=3))
    before, now = Clock(0.4, 0.2, 0.6, 0.8, 0.1, 0.1), Clock(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    row = compare("some", before, now, 2)
    assert row == {"counts": "some", "shots": 10, "draws": 3, "before_ms": 200, "now_ms": 300, "now/before": 1.5}
    assert before.asked == now.asked == [("some", draw) for draw in (0, 0, 1, 1, 2, 2)]


def test_what_is_slow_runs_once(monkeypatch):
    monkeypatch.setitem(CASES, "some", Case("ghz", 3, 10))
    before, now = Clock(9.0, 1.0), Clock(0.2, 0.1, 0.3)
    assert compare("some", before, now, 3)["now/before"] == 0.01
    assert len(before.asked) == 1
    assert len(now.asked) == 3


def test_a_row_takes_the_place_of_the_one_of_its_name(monkeypatch, tmp_path):
    monkeypatch.setattr("benchmarks.data.RESULTS", tmp_path)
    for name, ms in (("dense, 5 bits", 1), ("GHZ, 5 bits", 2), ("dense, 5 bits", 3)):
        keep({"counts": name, "now_ms": ms})
    assert (tmp_path / FILE).read_text().split() == [
        "counts,now_ms",
        '"GHZ,',
        "5",
        'bits",2',
        '"dense,',
        "5",
        'bits",3',
    ]


@pytest.mark.parametrize("kind", ["ghz", "strings", "dense", "uniform"])
def test_counts_are_as_wide_and_many_as_the_table_says(kind, monkeypatch):
    monkeypatch.setitem(CASES, kind, Case(kind, 6, 70_000, 0.0, 2))
    first, second = drawn(kind, 0), drawn(kind, 1)
    assert (first.num_bits, first.num_shots) == (6, 70_000)
    assert not np.array_equal(first.array, second.array)
    if kind == "ghz":
        assert set(first.get_counts()) == {"000000", "111111"}
    if kind == "strings":
        assert len(first.get_counts()) == 3


def test_a_version_answers_from_a_process_of_its_own():
    with started(versions.REPOSITORY, "benchmarks.speed.versions") as timed:
        assert 0 < timed(("GHZ, 5 bits", 0)) < 60
        with pytest.raises(RuntimeError, match="it ended before it answered"):
            timed(("no such counts", 0))
