"""What is no table, no gate and no record ends in words that name the file."""

import pytest
from typer.testing import CliRunner

from qcluster.cli.decision import decision_app
from qcluster.errors import StorageError


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


def test_records_without_an_ideal_are_named(tmp_path):
    (tmp_path / "mine.jsonl").write_text('{"counts": {"0": 3}}\n')
    none = "--full", 0, "--wide", 0, "--sharp", 0
    with pytest.raises(StorageError, match=r"mine\.jsonl must hold counts with their ideal; found no such record"):
        call("build", "--out", tmp_path / "out", *none, "--records", tmp_path / "mine.jsonl")


def test_an_empty_folder_is_no_table(tmp_path):
    for command in (("train", "--out", tmp_path / "gate.npz"), ("score",)):
        with pytest.raises(StorageError, match=r"must hold parts of a table.*; found no \.npz"):
            call(*command, "--table", tmp_path)
