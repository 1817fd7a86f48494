"""What is no table, no gate and no record ends in words that name the file."""

import json

import pytest
from typer.testing import CliRunner

from qcluster.bench.records import read_records
from qcluster.cli.decision import decision_app
from qcluster.errors import StorageError
from qcluster.learn.decision.table import recorded


def call(*arguments):
    return CliRunner().invoke(decision_app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.mark.parametrize("content", ["", "[]", "{}", "3", "[" * 100_000, '{"ideal": {"0": 1}}'])
def test_wrong_records_are_named(tmp_path, content):
    (tmp_path / "mine.jsonl").write_text(content)
    with pytest.raises((StorageError, ValueError), match=r"mine\.jsonl"):
        call(
            "build",
            "--out",
            tmp_path / "out",
            "--full",
            0,
            "--wide",
            0,
            "--sharp",
            0,
            "--records",
            tmp_path / "mine.jsonl",
        )


@pytest.mark.parametrize(
    ("files", "said"),
    [(["no.jsonl"], "cannot read records from .*no"), (["a.jsonl", "in/a.jsonl"], "names of their own")],
)
def test_records_that_are_refused_leave_no_folder(tmp_path, files, said):
    (tmp_path / "a.jsonl").write_text('{"counts": {"0": 3}, "ideal": {"0": 1}}\n')
    named = [part for file in files for part in ("--records", tmp_path / file)]
    with pytest.raises((StorageError, ValueError), match=said):
        call("build", "--out", tmp_path / "out", "--full", 1, "--wide", 0, "--sharp", 0, *named)
    assert not (tmp_path / "out").exists()


def test_records_without_an_ideal_are_named(tmp_path):
    (tmp_path / "mine.jsonl").write_text('{"counts": {"0": 3}}\n')
    none = "--full", 0, "--wide", 0, "--sharp", 0
    with pytest.raises(StorageError, match=r"mine\.jsonl must hold counts with their ideal; found no such record"):
        call("build", "--out", tmp_path / "out", *none, "--records", tmp_path / "mine.jsonl")
    assert not (tmp_path / "out").exists(), "it was left, empty"


def test_a_folder_that_cannot_be_is_refused_before_anything_is_built(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(StorageError, match=r"cannot write .*full-0000000\.npz: Not a directory"):
        call("build", "--out", tmp_path / "out", "--full", 1, "--wide", 0, "--sharp", 0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[1, 2]", r"line 1: a record must be an object of 'counts' and more; got \[1, 2\]"),
        ('{"counts": null}', "line 1: lacks 'counts'"),
        (
            '{"counts": {"0": 1}, "ideal": {}}',
            "line 1: the ideal is not a distribution: counts must hold at least one bitstring",
        ),
        ('{"counts": {"0": 1}, "ideal": [0.5]}', "line 1: the ideal is not a distribution: "),
        ('{"counts": {"0": 1}, "ideal": null, "ideal_id": 3}', "line 1: lacks '3': the file of ideals has no ideal"),
    ],
)
@pytest.mark.parametrize("bench", [False, True])
def test_an_ideal_is_read_alike_by_all_that_read_records(tmp_path, line, said, bench):
    """An ideal of no strings was as good as none where tables are built, and refused where records are scored."""
    (tmp_path / "mine.jsonl").write_text(line)
    if bench and line.startswith("["):
        said = said.replace("of 'counts'", "of 'id', 'counts'")
    with pytest.raises(StorageError, match=said):
        list((read_records if bench else recorded)(tmp_path / "mine.jsonl"))


def test_an_ideal_that_comes_twice_comes_alike(tmp_path):
    """The last one was taken, and scores of half the records were of another circuit."""
    (tmp_path / "mine.jsonl").write_text('{"id": "a", "counts": {"0": 3}, "ideal_id": "x"}\n')
    lines = ['{"ideal_id": "x", "ideal": {"0": 1}}\n'] * 2
    beside = tmp_path / "mine_ideals.jsonl"
    for read in (read_records, recorded):
        beside.write_text("".join(lines))
        assert len(list(read(tmp_path / "mine.jsonl"))) == 1
        beside.write_text("".join([*lines, lines[0].replace('"0"', '"1"')]))
        with pytest.raises(StorageError, match=r"mine_ideals\.jsonl must hold one ideal of each ideal_id; 'x' has two"):
            list(read(tmp_path / "mine.jsonl"))


def test_an_empty_folder_is_no_table(tmp_path):
    for command in (("train", "--out", tmp_path / "gate.npz"), ("score",)):
        with pytest.raises(StorageError, match=r"must hold parts of a table.*; found no \.npz"):
            call(*command, "--table", tmp_path)


@pytest.mark.parametrize("kind", ["--full", "--circuits"])
def test_records_wider_than_the_candidates_are_named_with_their_line(tmp_path, kind):
    """The build stopped with the width alone, of records in any of its files."""
    record = {"counts": {"0" * 897: 9}, "ideal": {"0" * 897: 1.0}}
    faults = {"masks": [1], "rates": [0.01], "kind": [0], "readout": [[0.01, 0.01]] * 897}
    line = json.dumps(record | ({"faults": faults, "circuit": "one:897"} if kind == "--circuits" else {}))
    few = line.replace("0" * 897, "0").replace(json.dumps([[0.01, 0.01]] * 897), "[[0.01, 0.01]]")
    (tmp_path / "mine.jsonl").write_text(f"{few}\n{line}\n")
    sizes = ("--circuits", 1) if kind == "--circuits" else ("--full", 0, "--wide", 0, "--sharp", 0)
    with pytest.raises(StorageError, match=r"mine\.jsonl, line 2: counts in a table must have 896 bits .*; got 897"):
        call("build", "--out", tmp_path / "out", *sizes, "--records", tmp_path / "mine.jsonl")


def test_parts_that_a_command_does_not_ask_for_are_named(tmp_path):
    """They stayed in the table unsaid, and gates were trained on records that were left out on purpose."""
    for name in ("kept", "dropped"):
        (tmp_path / f"{name}.jsonl").write_text('{"counts": {"00": 30, "11": 3}, "ideal": {"00": 1}}\n')
    none = "--full", 0, "--wide", 0, "--sharp", 0
    build = "build", "--out", tmp_path / "out", "--records", tmp_path / "kept.jsonl"
    assert "does not ask for" not in call(*build, *none, "--records", tmp_path / "dropped.jsonl").output
    said = call(*build, *none).output.replace("\n", " ")
    assert "also holds 1 part that this command does not ask for (records-dropped.npz)" in said
    assert (tmp_path / "out" / "records-dropped.npz").exists()
    call(*build, "--full", 20, "--wide", 0, "--sharp", 1)
    said = call(*build, *none).output.replace("\n", " ")
    assert "holds 6 parts that this command does not ask for (faint-0000000.npz, full-0000000.npz, near-on-" in said
    (tmp_path / "out" / "records-dropped.npz").unlink()
    assert "records-dropped" not in call(*build, *none).output
