"""The table of bad days: a row that does not hold says so, whatever ends it, and no row tests what is not there."""

import csv
import re
import sys
from pathlib import Path

import pytest

from benchmarks import data
from benchmarks.robustness import __main__ as table
from benchmarks.robustness import attacks
from benchmarks.robustness.row import Row
from benchmarks.robustness.steady import same

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("node", [*attacks.KILLS, *attacks.FULL, *attacks.TAMPERED])
def test_every_fault_is_a_test_that_exists(node):
    path, _, name = node.partition("::")
    assert re.search(rf"^def {name or 'test_'}", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


def test_a_missing_or_failing_test_fails_its_row(tmp_path):
    path = tmp_path / "test_here.py"
    path.write_text("def test_a(): pass\ndef test_b(): assert 1 == 2\n")
    assert attacks.tested(f"{path}::test_a") == "1 passed tests"
    with pytest.raises(AssertionError, match="test_b"):
        attacks.tested(str(path))
    with pytest.raises(AssertionError, match=r"not found|no tests ran"):
        attacks.tested(f"{path}::test_c")


HELPER = """
import os
from benchmarks.robustness import __main__ as table
from benchmarks.robustness.row import Row

def fail():
    raise ValueError("seven")

table.ROWS = (
    Row("holds", "yes", lambda: "it did"), Row("fails", "no", fail), Row("dies", "no", lambda: os.kill(os.getpid(), 9))
)
table.inside(*__import__("sys").argv[1:])
"""


@pytest.mark.parametrize(
    ("name", "held", "happened"),
    [("holds", "yes", "it did"), ("fails", "no", "ValueError: seven"), ("dies", "no", "the process ended with -9")],
)
def test_what_happened_is_written_down_however_it_ended(name, held, happened, tmp_path, monkeypatch):
    helper = tmp_path / "helper.py"
    helper.write_text(HELPER)
    spawn = table.os.posix_spawn

    def spawned(program, words, environment):
        found = re.search(r"inside\('(.*?)', '(.*?)'\)", words[-1])
        return spawn(program, [sys.executable, str(helper), *found.groups()], {**environment, "PYTHONPATH": str(ROOT)})

    monkeypatch.setattr(table.os, "posix_spawn", spawned)
    found = table.attempt(Row(name, "", lambda: ""))
    assert (found["held"], found["happened"]) == (held, happened)
    assert found["peak_mib"] > 10


def test_answers_that_differ_are_named():
    assert "the same to the last bit" in same([["a", "b"], ["a", "b"]], "here")
    with pytest.raises(AssertionError, match=r"answers \[1\] differ"):
        same([["a", "b"], ["a", "c"]], "here")


def test_a_new_row_takes_the_place_of_its_old_one(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "RESULTS", tmp_path)
    monkeypatch.setattr(table, "FILE", tmp_path / "robustness.csv")
    first, second = (row.name for row in table.ROWS[:2])
    for name, held in ((second, "no"), (first, "yes"), (second, "yes")):
        table.keep({"row": name, "must": "", "held": held})
    with (tmp_path / "robustness.csv").open(newline="") as lines:
        rows = [(row["row"], row["held"]) for row in csv.DictReader(lines)]
    assert rows == [(first, "yes"), (second, "yes"), *((row.name, table.NOT_TRIED) for row in table.ROWS[2:])]


def test_the_table_has_every_row_and_all_that_were_tried_held():
    with table.FILE.open(newline="", encoding="utf-8") as lines:
        found = {row["row"]: row for row in csv.DictReader(lines)}
    assert list(found) == [row.name for row in table.ROWS]
    assert {row["held"] for row in found.values()} <= {"yes", table.NOT_TRIED}, (
        "mend what does not hold, or say so here"
    )
    assert "_generated/robustness.md" in (ROOT / "docs" / "robustness.md").read_text(encoding="utf-8")
